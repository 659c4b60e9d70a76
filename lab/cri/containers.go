package cri

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/egressplay/egressplay/lab/cri/starter"
)

// A container is one program of a pod.
type container struct {
	id      string
	sandbox *sandbox
	config  *runtimeapi.ContainerConfig
	image   *Image
	created time.Time
	dir     string
	spec    starter.Spec

	starting sync.Mutex    // held while the container is being started
	done     chan struct{} // closed when it has exited and its log is complete
	taps     taps          // the clients that get its output too
	log      *containerLog // nil before the start

	// Guarded by Server.mu. What comes after started is set once, with the state
	// that says so.
	state    runtimeapi.ContainerState
	started  time.Time
	process  *os.Process
	pidfd    int            // of process, for its namespaces; closed with done
	stdin    io.WriteCloser // nil if the container has no stdin
	terminal *os.File       // nil if it has no terminal
	finished time.Time
	exitCode int32
	reason   string
	message  string
}

// drainTime is how long after a container's end something else may keep its
// output open. The kernel has ended its own processes by then.
const drainTime = 2 * time.Second

// CreateContainer implements the RuntimeService.
func (s *Server) CreateContainer(_ context.Context, r *runtimeapi.CreateContainerRequest) (_ *runtimeapi.CreateContainerResponse, err error) {
	if err := s.checkContainer(r.GetConfig()); err != nil {
		return nil, err
	}
	image, err := s.acquire(r.Config.Image.Image)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.release(image))
		}
	}()
	if user := r.Config.GetLinux().GetSecurityContext().GetRunAsUsername(); user != image.username() && user != "" {
		return nil, unimplemented("a user by name (%q); give runAsUser as a number", user)
	}
	sb := s.findSandbox(r.PodSandboxId)
	if sb == nil {
		return nil, errNoSandbox(r.PodSandboxId)
	}
	c := &container{
		id: newID(), sandbox: sb, config: r.Config, image: image, created: time.Now(), pidfd: -1,
		state: runtimeapi.ContainerState_CONTAINER_CREATED,
		done:  make(chan struct{}),
	}
	c.dir = filepath.Join(s.root, "containers", c.id)
	if c.spec, err = s.specOf(c); err != nil {
		return nil, err
	}
	for _, dir := range []string{c.spec.Root, c.spec.Scratch} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, fmt.Errorf("folder of the container: %w", err)
		}
	}
	s.mu.Lock()
	ready := sb.ready
	if ready {
		s.containers[c.id] = c
	}
	s.mu.Unlock()
	if !ready {
		return nil, errors.Join(status.Errorf(codes.FailedPrecondition, "pod sandbox %s is stopped", sb.id), os.RemoveAll(c.dir))
	}
	s.emit(sb, c.id, runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT)
	return &runtimeapi.CreateContainerResponse{ContainerId: c.id}, nil
}

// specOf returns what the starter has to do, made from the image and the pod's
// settings.
func (s *Server) specOf(c *container) (starter.Spec, error) {
	config, image := c.config, c.image
	sc := config.GetLinux().GetSecurityContext()
	sp := starter.Spec{
		Root:          filepath.Join(c.dir, "root"),
		Scratch:       filepath.Join(c.dir, "scratch"),
		Shm:           c.sandbox.shm(),
		RootFS:        image.rootFS(),
		Layers:        image.Layers,
		Files:         image.Files,
		Dirs:          image.Dirs,
		Links:         image.Links,
		TrustBundle:   s.trustBundle,
		Hostname:      c.sandbox.config.Hostname,
		Resolv:        resolvConf(c.sandbox.config.DnsConfig),
		WorkingDir:    firstOf(config.WorkingDir, image.WorkingDir, "/"),
		NoNewPrivs:    sc.GetNoNewPrivs(),
		ReadonlyRoot:  sc.GetReadonlyRootfs(),
		MaskedPaths:   sc.GetMaskedPaths(),
		ReadonlyPaths: sc.GetReadonlyPaths(),
		Terminal:      config.Tty,
		Stdin:         config.Stdin,
	}
	for _, m := range config.Mounts {
		sp.Mounts = append(sp.Mounts, starter.Mount{
			From: m.HostPath, To: path.Clean(m.ContainerPath), Readonly: m.Readonly, Recursive: m.RecursiveReadOnly,
		})
	}
	// A mount at /a comes before one at /a/b, however the pod lists them.
	slices.SortStableFunc(sp.Mounts, func(a, b starter.Mount) int {
		return strings.Count(a.To, "/") - strings.Count(b.To, "/")
	})

	sp.Args = append(slices.Clone(config.Command), config.Args...)
	if len(config.Command) == 0 {
		sp.Args = slices.Clone(image.Entrypoint)
		if len(config.Args) > 0 {
			sp.Args = append(sp.Args, config.Args...)
		} else {
			sp.Args = append(sp.Args, image.Cmd...)
		}
	}
	if len(sp.Args) == 0 {
		return starter.Spec{}, invalid("no command: neither the pod nor the image %s says what to run", cmp.Or(config.GetImage().GetUserSpecifiedImage(), config.GetImage().GetImage()))
	}

	sp.UID, sp.GID = int(image.UID), int(image.GID)
	if sc.GetRunAsUser() != nil && sc.RunAsUser.Value != image.UID {
		sp.UID = int(sc.RunAsUser.Value)
		sp.GID = image.userByID(sp.UID).GID
	}
	if sc.GetRunAsGroup() != nil {
		sp.GID = int(sc.RunAsGroup.Value)
	}
	sp.Groups = []int{sp.GID} // as containerd does: the primary group is a supplementary one too, so a program cannot lose it by setgid
	groups := sc.GetSupplementalGroups()
	if sc.GetSupplementalGroupsPolicy() == runtimeapi.SupplementalGroupsPolicy_Merge {
		groups = slices.Concat(groups, image.groupsOf(sp.UID))
	}
	for _, g := range groups {
		if !slices.Contains(sp.Groups, int(g)) {
			sp.Groups = append(sp.Groups, int(g))
		}
	}
	var err error
	if sp.Caps, err = podCaps(sc.GetCapabilities()); err != nil {
		return starter.Spec{}, err
	}

	env := environment{}
	env.set("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	env.set("HOSTNAME", c.sandbox.config.Hostname)
	env.set("HOME", image.userByID(sp.UID).Home)
	if config.Tty {
		env.set("TERM", "xterm")
	}
	for _, e := range image.Env {
		name, value, _ := strings.Cut(e, "=")
		env.set(name, value)
	}
	for _, e := range config.Envs {
		env.set(e.Key, string(e.Value))
	}
	sp.Env = env
	return sp, nil
}

// environment is a list of NAME=VALUE that has each name once.
type environment []string

func (e *environment) set(name, value string) {
	if i := slices.IndexFunc(*e, func(s string) bool { return strings.HasPrefix(s, name+"=") }); i >= 0 {
		(*e)[i] = name + "=" + value
		return
	}
	*e = append(*e, name+"="+value)
}

func firstOf(values ...string) string {
	i := slices.IndexFunc(values, func(v string) bool { return v != "" })
	return values[i]
}

func resolvConf(dns *runtimeapi.DNSConfig) string {
	var b strings.Builder
	for _, server := range dns.GetServers() {
		fmt.Fprintln(&b, "nameserver", server)
	}
	if len(dns.GetSearches()) > 0 {
		fmt.Fprintln(&b, "search", strings.Join(dns.Searches, " "))
	}
	if len(dns.GetOptions()) > 0 {
		fmt.Fprintln(&b, "options", strings.Join(dns.Options, " "))
	}
	return b.String()
}

// StartContainer implements the RuntimeService. It returns once the container's program
// has been executed in its own root, or the error that prevented it: then the container
// has exited with code 128 and the reason StartError.
func (s *Server) StartContainer(ctx context.Context, r *runtimeapi.StartContainerRequest) (*runtimeapi.StartContainerResponse, error) {
	c, err := s.findContainer(r.ContainerId)
	if err != nil {
		return nil, err
	}
	c.starting.Lock()
	defer c.starting.Unlock()
	s.mu.Lock()
	state, ready := c.state, c.sandbox.ready
	s.mu.Unlock()
	if !ready || state != runtimeapi.ContainerState_CONTAINER_CREATED {
		return nil, status.Errorf(codes.FailedPrecondition, "container %s cannot be started: it is %s, pod ready: %t", c.id, state, ready)
	}

	started, err := s.launch(ctx, c)
	if err != nil {
		s.mu.Lock()
		c.state = runtimeapi.ContainerState_CONTAINER_EXITED
		c.finished, c.exitCode, c.reason, c.message = time.Now(), 128, "StartError", err.Error()
		s.mu.Unlock()
		close(c.done)
		s.emit(c.sandbox, c.id, runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT)
		if ctx.Err() != nil {
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		return nil, status.Error(codes.Unknown, err.Error())
	}
	s.mu.Lock()
	c.state, c.started = runtimeapi.ContainerState_CONTAINER_RUNNING, time.Now()
	c.process, c.pidfd, c.stdin, c.terminal = started.cmd.Process, started.pidfd, started.stdin, started.terminal
	s.mu.Unlock()
	s.emit(c.sandbox, c.id, runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT)
	go s.await(c, started)
	return &runtimeapi.StartContainerResponse{}, nil
}

// await follows a started container to its end.
func (s *Server) await(c *container, started *launched) {
	var output sync.WaitGroup
	for i, r := range started.output {
		stream := []string{"stdout", "stderr"}[i]
		output.Go(func() {
			if err := c.pump(stream, r); err != nil {
				s.log.Error("log of a container", "container", c.id, "path", c.log.path, "err", err)
			}
		})
	}
	waitErr := started.cmd.Wait() // an exit code is no error here: it is read below
	finished := time.Now()
	for _, r := range started.output {
		if err := r.SetReadDeadline(finished.Add(drainTime)); err != nil {
			r.Close() // no deadline can be set: losing the end of the output is better than waiting for ever
		}
	}
	output.Wait()
	for _, r := range started.output {
		r.Close()
	}
	if started.stdin != nil {
		started.stdin.Close()
	}
	if err := c.log.close(); err != nil {
		s.log.Error("close the log of a container", "container", c.id, "err", err)
	}

	s.mu.Lock()
	unix.Close(c.pidfd)
	c.pidfd = -1
	c.state, c.finished = runtimeapi.ContainerState_CONTAINER_EXITED, finished
	c.reason = "Completed"
	if started.cmd.ProcessState == nil {
		c.exitCode, c.reason, c.message = 255, "Error", fmt.Sprintf("wait for the container: %v", waitErr)
	} else if c.exitCode = exitCode(started.cmd.ProcessState); c.exitCode != 0 {
		c.reason = "Error"
	}
	s.mu.Unlock()
	close(c.done)
	s.emit(c.sandbox, c.id, runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT)
}

// exitCode returns the exit code of a process that has ended. A process that signal N
// killed has 128 + N, as in shells and container runtimes.
func exitCode(p *os.ProcessState) int32 {
	if ws, ok := p.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int32(ws.Signal())
	}
	return int32(p.ExitCode())
}

// StopContainer implements the RuntimeService: it sends the stop signal and, after the
// timeout, SIGKILL. It returns no error for a container that does not run or does not
// exist.
func (s *Server) StopContainer(ctx context.Context, r *runtimeapi.StopContainerRequest) (*runtimeapi.StopContainerResponse, error) {
	c, err := s.findContainer(r.ContainerId)
	if err != nil {
		return &runtimeapi.StopContainerResponse{}, nil
	}
	if err := s.stop(ctx, c, time.Duration(r.Timeout)*time.Second); err != nil {
		return nil, err
	}
	return &runtimeapi.StopContainerResponse{}, nil
}

func (s *Server) stop(ctx context.Context, c *container, grace time.Duration) error {
	c.starting.Lock() // wait for a start under way
	s.mu.Lock()
	process := c.process
	s.mu.Unlock()
	c.starting.Unlock()
	if process == nil {
		return nil
	}
	select {
	case <-c.done:
		return nil
	default:
	}
	if grace > 0 {
		if err := process.Signal(c.stopSignal()); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop container %s: %w", c.id, err)
		}
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-c.done:
			return nil
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		case <-timer.C:
		}
	}
	if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill container %s: %w", c.id, err)
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("container %s did not end when it was killed: %w", c.id, context.Cause(ctx))
	}
}

// stopSignal returns the pod's stop signal, else the image's, else SIGTERM.
func (c *container) stopSignal() syscall.Signal {
	if sig := c.config.StopSignal; sig != runtimeapi.Signal_RUNTIME_DEFAULT {
		return signalNumber(sig)
	}
	if c.image.StopSignal != 0 {
		return c.image.StopSignal
	}
	return unix.SIGTERM
}

// signalNumber turns a CRI signal, which CRI numbers in the order of names, into the
// kernel's number.
func signalNumber(s runtimeapi.Signal) syscall.Signal {
	switch s {
	case runtimeapi.Signal_SIGCLD:
		return unix.SIGCHLD
	case runtimeapi.Signal_SIGIOT:
		return unix.SIGABRT
	case runtimeapi.Signal_SIGPOLL:
		return unix.SIGIO
	}
	if s >= runtimeapi.Signal_SIGRTMIN { // 34 to 64 in a row, SIGRTMIN to SIGRTMAX
		return syscall.Signal(s - runtimeapi.Signal_SIGRTMIN + 34)
	}
	return unix.SignalNum(s.String())
}

// RemoveContainer implements the RuntimeService; a container that runs is killed
// first. Its log belongs to the kubelet and is kept.
func (s *Server) RemoveContainer(ctx context.Context, r *runtimeapi.RemoveContainerRequest) (*runtimeapi.RemoveContainerResponse, error) {
	if c, err := s.findContainer(r.ContainerId); err == nil {
		if err := s.remove(ctx, c); err != nil {
			return nil, err
		}
	}
	return &runtimeapi.RemoveContainerResponse{}, nil
}

func (s *Server) remove(ctx context.Context, c *container) error {
	if err := s.stop(ctx, c, 0); err != nil {
		return err
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("remove the folder of container %s: %w", c.id, err)
	}
	s.mu.Lock()
	delete(s.containers, c.id)
	s.mu.Unlock()
	s.emit(c.sandbox, c.id, runtimeapi.ContainerEventType_CONTAINER_DELETED_EVENT)
	return s.release(c.image)
}

func (s *Server) findContainer(id string) (*container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.containers[id]
	if c == nil {
		return nil, status.Errorf(codes.NotFound, "there is no container %s", id)
	}
	return c, nil
}

// containersOf needs Server.mu.
func (s *Server) containersOf(sb *sandbox) []*container {
	var list []*container
	for _, c := range s.containers {
		if c.sandbox == sb {
			list = append(list, c)
		}
	}
	return list
}

// statusesOf needs Server.mu.
func (s *Server) statusesOf(sb *sandbox) []*runtimeapi.ContainerStatus {
	var list []*runtimeapi.ContainerStatus
	for _, c := range s.containersOf(sb) {
		list = append(list, c.status())
	}
	return list
}

// ListContainers implements the RuntimeService.
func (s *Server) ListContainers(_ context.Context, r *runtimeapi.ListContainersRequest) (*runtimeapi.ListContainersResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := r.GetFilter()
	list := &runtimeapi.ListContainersResponse{}
	for _, c := range s.containers {
		if f.GetId() != "" && f.GetId() != c.id ||
			f.GetPodSandboxId() != "" && f.GetPodSandboxId() != c.sandbox.id ||
			f.GetState() != nil && f.State.State != c.state ||
			!selects(f.GetLabelSelector(), c.config.Labels) {
			continue
		}
		list.Containers = append(list.Containers, &runtimeapi.Container{
			Id:           c.id,
			PodSandboxId: c.sandbox.id,
			Metadata:     c.config.Metadata,
			Image:        c.config.Image,
			ImageRef:     c.image.id(),
			ImageId:      c.image.id(),
			State:        c.state,
			CreatedAt:    c.created.UnixNano(),
			Labels:       c.config.Labels,
			Annotations:  c.config.Annotations,
		})
	}
	return list, nil
}

// ContainerStatus implements the RuntimeService.
func (s *Server) ContainerStatus(_ context.Context, r *runtimeapi.ContainerStatusRequest) (*runtimeapi.ContainerStatusResponse, error) {
	c, err := s.findContainer(r.ContainerId)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &runtimeapi.ContainerStatusResponse{Status: c.status()}, nil
}

// status needs Server.mu.
func (c *container) status() *runtimeapi.ContainerStatus {
	image := c.config.Image
	if name := image.GetUserSpecifiedImage(); name != "" {
		image = &runtimeapi.ImageSpec{Image: name}
	}
	groups := make([]int64, len(c.spec.Groups))
	for i, g := range c.spec.Groups {
		groups[i] = int64(g)
	}
	return &runtimeapi.ContainerStatus{
		Id:          c.id,
		Metadata:    c.config.Metadata,
		State:       c.state,
		CreatedAt:   c.created.UnixNano(),
		StartedAt:   unixNano(c.started),
		FinishedAt:  unixNano(c.finished),
		ExitCode:    c.exitCode,
		Image:       image,
		ImageRef:    c.image.id(),
		ImageId:     c.image.id(),
		Reason:      c.reason,
		Message:     c.message,
		Labels:      c.config.Labels,
		Annotations: c.config.Annotations,
		Mounts:      c.config.Mounts,
		LogPath:     c.logPath(),
		StopSignal:  c.config.StopSignal,
		User: &runtimeapi.ContainerUser{Linux: &runtimeapi.LinuxContainerUser{
			Uid: int64(c.spec.UID), Gid: int64(c.spec.GID), SupplementalGroups: groups,
		}},
	}
}

// unixNano returns 0 for the zero time, as CRI wants it.
func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// logPath returns "" for a container whose log nobody wants.
func (c *container) logPath() string {
	if c.config.LogPath == "" || c.sandbox.config.LogDirectory == "" {
		return ""
	}
	return filepath.Join(c.sandbox.config.LogDirectory, c.config.LogPath)
}

// ReopenContainerLog implements the RuntimeService: the kubelet has renamed the log,
// and further output goes into a new file of the old name.
func (s *Server) ReopenContainerLog(_ context.Context, r *runtimeapi.ReopenContainerLogRequest) (*runtimeapi.ReopenContainerLogResponse, error) {
	c, err := s.findContainer(r.ContainerId)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	running := c.state == runtimeapi.ContainerState_CONTAINER_RUNNING
	s.mu.Unlock()
	if !running {
		return nil, status.Errorf(codes.FailedPrecondition, "container %s is not running", c.id)
	}
	if err := c.log.reopen(); err != nil {
		return nil, err
	}
	return &runtimeapi.ReopenContainerLogResponse{}, nil
}

// UpdateContainerResources implements the RuntimeService, by refusing.
func (s *Server) UpdateContainerResources(context.Context, *runtimeapi.UpdateContainerResourcesRequest) (*runtimeapi.UpdateContainerResourcesResponse, error) {
	return nil, errNoCgroups()
}

// CheckpointContainer implements the RuntimeService, by refusing.
func (s *Server) CheckpointContainer(context.Context, *runtimeapi.CheckpointContainerRequest) (*runtimeapi.CheckpointContainerResponse, error) {
	return nil, unimplemented("checkpoint a container")
}
