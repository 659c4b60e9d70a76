// Package cri is a small container runtime for one lab: it serves the
// Kubernetes Container Runtime Interface (k8s.io/cri-api, v1) on a Unix socket
// and runs containers as processes in namespaces, over the machine's own /usr or over
// the root file system of an image that the user loaded.
//
//	kubelet ── gRPC ──► Server ── locked thread ──► starter ── exec ──► program
//	                       │      joins the pod's    builds the root,
//	                       │      net, UTS and IPC   drops what a pod
//	                       │      namespaces         may not have
//	kubectl exec ─ SPDY ──►└───── locked thread ──► program (joins the container)
//
// A pod is a network namespace made by [Network] and a UTS and an IPC namespace
// made here; a container adds a mount and a pid namespace, in which it is
// process 1. There are no cgroups, so limits on CPU and memory are accepted and
// not enforced; the seccomp profile RuntimeDefault is accepted and no filter is
// applied. The server refuses everything else that it cannot do, with a gRPC
// status that names it and the reason.
//
// The server works as root and as the root of a user namespace that maps the
// ids 0 to 65535, on Linux 5.12 or newer. It expects to run in the lab's own
// namespaces: its mounts disappear with them.
package cri

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming"
)

// Network makes the network of a pod.
type Network interface {
	// Add makes the network namespace of a pod, ready for use: with its address and the
	// given sysctls, all of which are net.*. nsPath is the file that stands for the
	// namespace. Nothing runs in it before Add returns.
	Add(ctx context.Context, pod Pod, sysctls map[string]string) (ip netip.Addr, nsPath string, err error)

	// Remove undoes Add. It returns no error for an unknown pod.
	Remove(ctx context.Context, podID string) error
}

// Pod names the pod of the API for which a network is made.
type Pod struct {
	ID                   string // of the sandbox; a pod may have another later
	Namespace, Name, UID string
}

// Config describes what a [Server] serves, and where.
type Config struct {
	Socket     string   // Unix socket on which CRI is served, at most 107 bytes; an old one is replaced
	Root       string   // folder for what containers need while they run; made if absent
	StreamAddr string   // where exec, attach and port-forward are served; "127.0.0.1:0" picks a port
	Images     []Image  // the lab's own images; see [Images] and [Server.Load]
	Starter    []string // the command line that calls [starter.Start]; the program must be an absolute path
	Network    Network  // makes and removes a pod's network

	// TrustBundle is the file that is mounted at /etc/ssl/certs/ca-certificates.crt in
	// each container. If it is empty, containers have the machine's own certificates.
	TrustBundle string

	// Volumes is the kubelet's root folder. A mount from anywhere else is a hostPath
	// volume and is refused, because a pod could change the machine through it. If
	// Volumes is empty, every mount is allowed.
	Volumes string

	// Log gets what happens outside of any request, such as a container's log that
	// cannot be written. If it is nil, that is dropped.
	Log *slog.Logger
}

// Server is the runtime. Use [New] to make one.
type Server struct {
	runtimeapi.UnimplementedRuntimeServiceServer
	runtimeapi.UnimplementedImageServiceServer

	root        string
	images      []Image // the lab's own
	starter     []string
	network     Network
	trustBundle string
	volumes     string
	log         *slog.Logger

	listener       net.Listener
	streamListener net.Listener
	streams        streaming.Server
	events         events

	mu         sync.Mutex // guards the fields below and the changing fields of their elements
	sandboxes  map[string]*sandbox
	containers map[string]*container
	loaded     []*Image // the user's own; see [Server.Load]
}

// New checks the configuration and listens, so a client may connect as soon as it
// returns. [Server.Serve] must follow.
func New(c Config) (*Server, error) {
	if len(c.Starter) == 0 || !filepath.IsAbs(c.Starter[0]) {
		return nil, fmt.Errorf("container starter %q: want an absolute path", c.Starter)
	}
	if c.Network == nil {
		return nil, errors.New("no network for pods is given")
	}
	s := &Server{
		root: c.Root, images: c.Images, starter: c.Starter, network: c.Network,
		trustBundle: c.TrustBundle, volumes: c.Volumes, log: c.Log,
		sandboxes:  map[string]*sandbox{},
		containers: map[string]*container{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for i := range s.images {
		var err error
		if s.images[i].size, err = s.images[i].check(); err != nil {
			return nil, err
		}
	}
	if s.trustBundle != "" {
		if _, err := os.Stat(s.trustBundle); err != nil {
			return nil, fmt.Errorf("trust bundle of the containers: %w", err)
		}
	}
	if err := os.MkdirAll(s.root, 0o711); err != nil {
		return nil, fmt.Errorf("folder of the containers: %w", err)
	}

	if err := os.Remove(c.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove an old CRI socket: %w", err)
	}
	var err error
	if s.listener, err = net.Listen("unix", c.Socket); err != nil {
		return nil, fmt.Errorf("serve CRI: %w", err)
	}
	if s.streamListener, err = net.Listen("tcp", c.StreamAddr); err != nil {
		s.listener.Close()
		return nil, fmt.Errorf("serve exec, attach and port-forward: %w", err)
	}
	config := streaming.DefaultConfig
	config.BaseURL = &url.URL{Scheme: "http", Host: s.streamListener.Addr().String()}
	if s.streams, err = streaming.NewServer(config, streamer{s}); err != nil {
		s.listener.Close()
		s.streamListener.Close()
		return nil, fmt.Errorf("serve exec, attach and port-forward: %w", err)
	}
	return s, nil
}

// Serve serves until ctx ends. Then it ends every request, kills every container,
// removes the pods' networks, and returns nil when that is done. A server serves once.
func (s *Server) Serve(ctx context.Context) error {
	if err := isolate(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	// A handler of a stream lives as long as its request's context: it ends with
	// ctx here, and with the client's connection in trackedListener.
	streams := &http.Server{
		Handler:     s.streams,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: connContext,
	}
	server := grpc.NewServer(grpc.WaitForHandlers(true), grpc.MaxRecvMsgSize(maxMessage))
	runtimeapi.RegisterRuntimeServiceServer(server, s)
	runtimeapi.RegisterImageServiceServer(server, s)

	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(s.listener); err != nil {
			cancel(fmt.Errorf("serve CRI: %w", err))
		}
	})
	serving.Go(func() {
		if err := streams.Serve(trackedListener{s.streamListener}); !errors.Is(err, http.ErrServerClosed) {
			cancel(fmt.Errorf("serve exec, attach and port-forward: %w", err))
		}
	})

	<-ctx.Done()
	var failed error
	if cause := context.Cause(ctx); cause != ctx.Err() {
		failed = cause
	}
	s.events.close()
	server.Stop()
	streams.Close()
	serving.Wait()
	return errors.Join(failed, s.shutDown(context.WithoutCancel(ctx)))
}

// shutDown ends every pod.
func (s *Server) shutDown(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("containers did not end within 30s"))
	defer cancel()
	s.mu.Lock()
	ids := make([]string, 0, len(s.sandboxes))
	for id := range s.sandboxes {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() { errs[i] = s.removeSandbox(ctx, id) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// maxMessage is the size in bytes of the largest message that the kubelet's CRI client
// sends and takes (k8s.io/cri-client pkg/utils.go, maxMsgSize).
const maxMessage = 16 << 20

// isolate makes sure that a child process inherits no open file that it was not given,
// and no ignored signal.
//
// Ignored signals outlive exec. A lab started in the background by a shell
// without job control ignores SIGINT, and so would every container's program:
// Ctrl-C would do nothing. A signal with a handler is reset to its default in a child,
// so each ignored signal gets a handler that does nothing.
func isolate() error {
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("keep files from containers: %w", err)
	}
	return handleIgnoredSignals()
}

// Version implements the RuntimeService.
func (s *Server) Version(context.Context, *runtimeapi.VersionRequest) (*runtimeapi.VersionResponse, error) {
	return &runtimeapi.VersionResponse{
		Version:           "0.1.0", // of the kubelet's runtime API; always this
		RuntimeName:       "egressplay",
		RuntimeVersion:    "1.0.0",
		RuntimeApiVersion: "v1",
	}, nil
}

// Status implements the RuntimeService. Both conditions hold from the first request on:
// the network needs no set-up besides each pod's own.
func (s *Server) Status(context.Context, *runtimeapi.StatusRequest) (*runtimeapi.StatusResponse, error) {
	return &runtimeapi.StatusResponse{
		Status: &runtimeapi.RuntimeStatus{Conditions: []*runtimeapi.RuntimeCondition{
			{Type: runtimeapi.RuntimeReady, Status: true},
			{Type: runtimeapi.NetworkReady, Status: true},
		}},
		RuntimeHandlers: []*runtimeapi.RuntimeHandler{{
			Features: &runtimeapi.RuntimeHandlerFeatures{RecursiveReadOnlyMounts: true},
		}},
		Features: &runtimeapi.RuntimeFeatures{SupplementalGroupsPolicy: true},
	}, nil
}

// RuntimeConfig implements the RuntimeService. It names the cgroup driver that needs
// nothing of the machine: there are no cgroups.
func (s *Server) RuntimeConfig(context.Context, *runtimeapi.RuntimeConfigRequest) (*runtimeapi.RuntimeConfigResponse, error) {
	return &runtimeapi.RuntimeConfigResponse{
		Linux: &runtimeapi.LinuxRuntimeConfiguration{CgroupDriver: runtimeapi.CgroupDriver_CGROUPFS},
	}, nil
}

// UpdateRuntimeConfig implements the RuntimeService. The kubelet passes the range of
// pod addresses by it, which only [Network] would need.
func (s *Server) UpdateRuntimeConfig(context.Context, *runtimeapi.UpdateRuntimeConfigRequest) (*runtimeapi.UpdateRuntimeConfigResponse, error) {
	return &runtimeapi.UpdateRuntimeConfigResponse{}, nil
}

// newID returns a unique name for a pod or a container.
func newID() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails: crypto/rand
	return hex.EncodeToString(b)
}
