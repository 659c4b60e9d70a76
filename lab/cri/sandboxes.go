package cri

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A sandbox is a pod without its containers: namespaces, and a /dev/shm that its
// containers share. Open files hold the namespaces, not a process.
type sandbox struct {
	id      string
	config  *runtimeapi.PodSandboxConfig
	created time.Time
	dir     string
	ip      netip.Addr // invalid for a pod in the node's network
	net     string     // file of the network namespace; "" is the node's
	uts     *os.File
	ipc     *os.File // nil is the node's

	stopping sync.Mutex // held while the sandbox is being stopped
	ready    bool       // guarded by Server.mu
	stopped  bool       // guarded by stopping: nothing is left to undo
}

func (sb *sandbox) shm() string { return filepath.Join(sb.dir, "shm") }

func (sb *sandbox) hostNetwork() bool {
	return sb.config.GetLinux().GetSecurityContext().GetNamespaceOptions().GetNetwork() == runtimeapi.NamespaceMode_NODE
}

func (sb *sandbox) pod() Pod {
	m := sb.config.GetMetadata()
	return Pod{ID: sb.id, Namespace: m.GetNamespace(), Name: m.GetName(), UID: m.GetUid()}
}

// RunPodSandbox implements the RuntimeService.
func (s *Server) RunPodSandbox(ctx context.Context, r *runtimeapi.RunPodSandboxRequest) (*runtimeapi.RunPodSandboxResponse, error) {
	if err := checkSandbox(r); err != nil {
		return nil, err
	}
	sb := &sandbox{id: newID(), config: r.Config, created: time.Now(), ready: true}
	sb.dir = filepath.Join(s.root, "pods", sb.id)
	if err := s.setUp(ctx, sb); err != nil {
		return nil, errors.Join(fmt.Errorf("pod sandbox: %w", err), s.tearDown(context.WithoutCancel(ctx), sb), os.RemoveAll(sb.dir))
	}
	s.mu.Lock()
	s.sandboxes[sb.id] = sb
	s.mu.Unlock()
	s.emit(sb, sb.id, runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT)
	s.emit(sb, sb.id, runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT)
	return &runtimeapi.RunPodSandboxResponse{PodSandboxId: sb.id}, nil
}

// setUp makes everything of a sandbox. If it fails, tearDown undoes what it did.
func (s *Server) setUp(ctx context.Context, sb *sandbox) error {
	if err := os.MkdirAll(sb.shm(), 0o711); err != nil {
		return err
	}
	if err := unix.Mount("shm", sb.shm(), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=1777,size=64m"); err != nil {
		return fmt.Errorf("mount a tmpfs for /dev/shm: %w", err)
	}
	if !sb.hostNetwork() {
		var err error
		if sb.ip, sb.net, err = s.network.Add(ctx, sb.pod(), sb.config.GetLinux().GetSysctls()); err != nil {
			return fmt.Errorf("network: %w", err)
		}
	}
	hostIPC := sb.config.GetLinux().GetSecurityContext().GetNamespaceOptions().GetIpc() == runtimeapi.NamespaceMode_NODE
	return onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWUTS); err != nil {
			return fmt.Errorf("new UTS namespace: %w", err)
		}
		if name := sb.config.Hostname; name != "" {
			if err := unix.Sethostname([]byte(name)); err != nil {
				return fmt.Errorf("host name %q: %w", name, err)
			}
		}
		if sb.uts, err = os.Open("/proc/thread-self/ns/uts"); err != nil || hostIPC {
			return err
		}
		if err := unix.Unshare(unix.CLONE_NEWIPC); err != nil {
			return fmt.Errorf("new IPC namespace: %w", err)
		}
		sb.ipc, err = os.Open("/proc/thread-self/ns/ipc")
		return err
	})
}

// tearDown removes everything that setUp made except the folder.
func (s *Server) tearDown(ctx context.Context, sb *sandbox) error {
	sb.uts.Close() // nil is allowed: an error that says nothing
	sb.ipc.Close()
	var errs []error
	if !sb.hostNetwork() {
		if err := s.network.Remove(ctx, sb.id); err != nil {
			errs = append(errs, fmt.Errorf("remove the network of pod %s: %w", sb.id, err))
		}
	}
	if err := unix.Unmount(sb.shm(), unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		errs = append(errs, fmt.Errorf("unmount /dev/shm of pod %s: %w", sb.id, err))
	}
	return errors.Join(errs...)
}

// StopPodSandbox implements the RuntimeService: it kills the containers that
// still run and removes the network. It may be called again, even for a sandbox that
// does not exist.
func (s *Server) StopPodSandbox(ctx context.Context, r *runtimeapi.StopPodSandboxRequest) (*runtimeapi.StopPodSandboxResponse, error) {
	if sb := s.findSandbox(r.PodSandboxId); sb != nil {
		if err := s.stopSandbox(ctx, sb); err != nil {
			return nil, err
		}
	}
	return &runtimeapi.StopPodSandboxResponse{}, nil
}

func (s *Server) stopSandbox(ctx context.Context, sb *sandbox) error {
	sb.stopping.Lock()
	defer sb.stopping.Unlock()
	if sb.stopped {
		return nil
	}
	s.mu.Lock()
	sb.ready = false // from now on none of its containers starts
	running := s.containersOf(sb)
	s.mu.Unlock()
	for _, c := range running {
		if err := s.stop(ctx, c, 0); err != nil {
			return err
		}
	}
	if err := s.tearDown(ctx, sb); err != nil {
		return err
	}
	sb.stopped = true
	s.emit(sb, sb.id, runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT)
	return nil
}

// RemovePodSandbox implements the RuntimeService: it stops the sandbox if it is not
// stopped, and removes it with its containers.
func (s *Server) RemovePodSandbox(ctx context.Context, r *runtimeapi.RemovePodSandboxRequest) (*runtimeapi.RemovePodSandboxResponse, error) {
	if err := s.removeSandbox(ctx, r.PodSandboxId); err != nil {
		return nil, err
	}
	return &runtimeapi.RemovePodSandboxResponse{}, nil
}

func (s *Server) removeSandbox(ctx context.Context, id string) error {
	sb := s.findSandbox(id)
	if sb == nil {
		return nil
	}
	if err := s.stopSandbox(ctx, sb); err != nil {
		return err
	}
	s.mu.Lock()
	containers := s.containersOf(sb)
	s.mu.Unlock()
	for _, c := range containers {
		if err := s.remove(ctx, c); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(sb.dir); err != nil {
		return fmt.Errorf("remove the folder of pod %s: %w", id, err)
	}
	s.mu.Lock()
	delete(s.sandboxes, id)
	s.mu.Unlock()
	s.emit(sb, sb.id, runtimeapi.ContainerEventType_CONTAINER_DELETED_EVENT)
	return nil
}

// findSandbox returns nil if there is no such sandbox.
func (s *Server) findSandbox(id string) *sandbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sandboxes[id]
}

func errNoSandbox(id string) error {
	return status.Errorf(codes.NotFound, "there is no pod sandbox %s", id)
}

// PodSandboxStatus implements the RuntimeService.
func (s *Server) PodSandboxStatus(_ context.Context, r *runtimeapi.PodSandboxStatusRequest) (*runtimeapi.PodSandboxStatusResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sb := s.sandboxes[r.PodSandboxId]
	if sb == nil {
		return nil, errNoSandbox(r.PodSandboxId)
	}
	return &runtimeapi.PodSandboxStatusResponse{
		Status:             sb.status(),
		ContainersStatuses: s.statusesOf(sb),
		Timestamp:          time.Now().UnixNano(),
	}, nil
}

// ListPodSandbox implements the RuntimeService.
func (s *Server) ListPodSandbox(_ context.Context, r *runtimeapi.ListPodSandboxRequest) (*runtimeapi.ListPodSandboxResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := r.GetFilter()
	list := &runtimeapi.ListPodSandboxResponse{}
	for _, sb := range s.sandboxes {
		if f.GetId() != "" && f.GetId() != sb.id ||
			f.GetState() != nil && f.State.State != sb.state() ||
			!selects(f.GetLabelSelector(), sb.config.Labels) {
			continue
		}
		list.Items = append(list.Items, &runtimeapi.PodSandbox{
			Id:          sb.id,
			Metadata:    sb.config.Metadata,
			State:       sb.state(),
			CreatedAt:   sb.created.UnixNano(),
			Labels:      sb.config.Labels,
			Annotations: sb.config.Annotations,
		})
	}
	return list, nil
}

// state needs Server.mu, as status does.
func (sb *sandbox) state() runtimeapi.PodSandboxState {
	if sb.ready {
		return runtimeapi.PodSandboxState_SANDBOX_READY
	}
	return runtimeapi.PodSandboxState_SANDBOX_NOTREADY
}

func (sb *sandbox) status() *runtimeapi.PodSandboxStatus {
	st := &runtimeapi.PodSandboxStatus{
		Id:          sb.id,
		Metadata:    sb.config.Metadata,
		State:       sb.state(),
		CreatedAt:   sb.created.UnixNano(),
		Network:     &runtimeapi.PodSandboxNetworkStatus{},
		Labels:      sb.config.Labels,
		Annotations: sb.config.Annotations,
		Linux: &runtimeapi.LinuxPodSandboxStatus{Namespaces: &runtimeapi.Namespace{
			Options: sb.config.GetLinux().GetSecurityContext().GetNamespaceOptions(),
		}},
	}
	if sb.ready && sb.ip.IsValid() {
		st.Network.Ip = sb.ip.String()
	}
	return st
}

// selects reports whether the labels have everything that the selector asks for.
func selects(selector, labels map[string]string) bool {
	for name, want := range selector {
		if got, ok := labels[name]; !ok || got != want {
			return false
		}
	}
	return true
}

// UpdatePodSandboxResources implements the RuntimeService, by refusing.
func (s *Server) UpdatePodSandboxResources(context.Context, *runtimeapi.UpdatePodSandboxResourcesRequest) (*runtimeapi.UpdatePodSandboxResourcesResponse, error) {
	return nil, errNoCgroups()
}

func errNoCgroups() error {
	return unimplemented("change the resources of what runs: there are no cgroups, so limits are not enforced")
}
