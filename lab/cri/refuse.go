package cri

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// What this file refuses reaches the user as the reason in a pod's event, so each text
// names the pod's field and says why it is refused.

// maxID is the greatest user or group id: the lab of an ordinary user maps only 65536
// ids, and a pod must behave alike in every lab.
const maxID = 65535

func unimplemented(format string, args ...any) error {
	return status.Errorf(codes.Unimplemented, "the lab cannot do this: "+format, args...)
}

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// checkSandbox refuses a pod that the server cannot run as asked. What a container asks
// for too is left to checkContainer: the refusal of a container is shown in the pod's
// status, that of a sandbox only in its events.
func checkSandbox(r *runtimeapi.RunPodSandboxRequest) error {
	c := r.GetConfig()
	if c.GetMetadata() == nil {
		return invalid("a pod sandbox needs metadata")
	}
	if r.RuntimeHandler != "" {
		return invalid("no runtime handler %q; there is only the default one, so leave runtimeClassName out", r.RuntimeHandler)
	}
	network := c.GetLinux().GetSecurityContext().GetNamespaceOptions().GetNetwork()
	for _, name := range slices.Sorted(maps.Keys(c.GetLinux().GetSysctls())) {
		if !strings.HasPrefix(name, "net.") {
			return unimplemented("sysctl %s is not of a pod's own network namespace; only net.* can be set", name)
		}
	}
	for _, p := range c.GetPortMappings() {
		if p.HostPort != 0 && network != runtimeapi.NamespaceMode_NODE {
			return unimplemented("hostPort %d: there is no port mapping; use a Service or kubectl port-forward", p.HostPort)
		}
	}
	return nil
}

// checkContainer refuses a container that the server cannot run as asked.
func (s *Server) checkContainer(c *runtimeapi.ContainerConfig) error {
	if c.GetMetadata() == nil || c.GetImage() == nil {
		return invalid("a container needs metadata and an image")
	}
	sc := c.GetLinux().GetSecurityContext()
	if sc.GetPrivileged() {
		return unimplemented("privileged containers: they would reach the machine; add the capabilities that are needed instead")
	}
	if err := checkNamespaces(sc.GetNamespaceOptions()); err != nil {
		return err
	}
	if err := checkProfiles(sc.GetSeccomp(), sc.GetApparmor(), sc.GetSelinuxOptions()); err != nil {
		return err
	}
	ids := append([]int64{sc.GetRunAsUser().GetValue(), sc.GetRunAsGroup().GetValue()}, sc.GetSupplementalGroups()...)
	for _, id := range ids {
		if id < 0 || id > maxID {
			return unimplemented("user or group id %d: ids above %d are not mapped in a lab of an ordinary user; "+
				"use a smaller runAsUser, runAsGroup, fsGroup or supplementalGroups", id, maxID)
		}
	}
	if len(c.Devices) > 0 || len(c.CDIDevices) > 0 {
		return unimplemented("devices of the machine in a container")
	}
	for _, m := range c.Mounts {
		if err := s.checkMount(m); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) checkMount(m *runtimeapi.Mount) error {
	switch {
	case m.Image != nil:
		return unimplemented("an image as a volume (at %s)", m.ContainerPath)
	case m.Propagation != runtimeapi.MountPropagation_PROPAGATION_PRIVATE:
		return unimplemented("mountPropagation other than None (at %s)", m.ContainerPath)
	case len(m.UidMappings) > 0 || len(m.GidMappings) > 0:
		return unimplemented("id-mapped mounts (at %s)", m.ContainerPath)
	case !filepath.IsAbs(m.HostPath) || !filepath.IsAbs(m.ContainerPath):
		return invalid("mount of %q at %q: both must be absolute paths", m.HostPath, m.ContainerPath)
	case s.volumes != "" && !strings.HasPrefix(filepath.Clean(m.HostPath), filepath.Clean(s.volumes)+"/"):
		return unimplemented("hostPath volume %s (at %s): a pod gets no file of the machine; use emptyDir or a ConfigMap", m.HostPath, m.ContainerPath)
	}
	return nil
}

func checkNamespaces(o *runtimeapi.NamespaceOption) error {
	if o == nil { // only other clients: the kubelet always sets it
		return nil
	}
	switch o.Pid {
	case runtimeapi.NamespaceMode_CONTAINER:
	case runtimeapi.NamespaceMode_POD:
		return unimplemented("shareProcessNamespace: each container has a pid namespace of its own")
	case runtimeapi.NamespaceMode_NODE:
		return unimplemented("hostPID: a pod does not see the processes of the lab")
	default:
		return unimplemented("a container that joins the pid namespace of another (kubectl debug --target)")
	}
	if o.UsernsOptions != nil && o.UsernsOptions.Mode != runtimeapi.NamespaceMode_NODE {
		return unimplemented("hostUsers: false: a pod has no user namespace of its own")
	}
	return nil
}

func checkProfiles(seccomp, apparmor *runtimeapi.SecurityProfile, selinux *runtimeapi.SELinuxOption) error {
	if seccomp.GetProfileType() == runtimeapi.SecurityProfile_Localhost {
		return unimplemented("seccompProfile Localhost (%s): no filter of system calls is applied", seccomp.LocalhostRef)
	}
	if apparmor.GetProfileType() == runtimeapi.SecurityProfile_Localhost {
		return unimplemented("appArmorProfile Localhost (%s): no AppArmor profile is applied", apparmor.LocalhostRef)
	}
	if selinux != nil {
		return unimplemented("seLinuxOptions: no label is applied")
	}
	return nil
}
