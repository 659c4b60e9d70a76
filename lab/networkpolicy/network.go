package networkpolicy

import (
	"context"
	"errors"
	"net/netip"

	"github.com/egressplay/egressplay/lab/cri"
)

// Network makes the networks of pods, with their rules from the start.
type Network struct {
	Pods       pods
	Controller *Controller
}

var _ cri.Network = Network{}

// pods makes the networks themselves.
type pods interface {
	Add(ctx context.Context, podID string, sysctls map[string]string) (ip netip.Addr, nsPath string, err error)
	Remove(ctx context.Context, podID string) error
}

// Add makes the network of a pod, and returns once its rules are set; see
// [Controller.AddPod]. If it fails, nothing is left.
func (n Network) Add(ctx context.Context, pod cri.Pod, sysctls map[string]string) (netip.Addr, string, error) {
	ip, path, err := n.Pods.Add(ctx, pod.ID, sysctls)
	if err != nil {
		return netip.Addr{}, "", err
	}
	if err := n.Controller.AddPod(ctx, pod, ip); err != nil {
		return netip.Addr{}, "", errors.Join(err, n.Pods.Remove(context.WithoutCancel(ctx), pod.ID))
	}
	return ip, path, nil
}

// Remove removes the network of a pod. It returns no error for a pod without a network.
func (n Network) Remove(ctx context.Context, podID string) error {
	if err := n.Pods.Remove(ctx, podID); err != nil {
		return err
	}
	n.Controller.RemovePod(podID)
	return nil
}
