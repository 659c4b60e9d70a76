package networkpolicy

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	coreinformers "k8s.io/client-go/informers/core/v1"
	networkinginformers "k8s.io/client-go/informers/networking/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/knftables"
)

// Pod is a pod as the container runtime knows it.
type Pod struct {
	ID              string // of its sandbox
	Namespace, Name string
	UID             types.UID
	IP              netip.Addr
}

// Controller keeps the node's rules as the policies say. It is safe for
// concurrent use.
type Controller struct {
	client kubernetes.Interface
	log    *slog.Logger
	nft    knftables.Interface // made by Run, but for tests

	changed chan struct{} // holds one when the rules may have to change

	applied string // the last transaction of this Run that went in

	mu                         sync.Mutex           // guards what follows
	added                      map[string]*addedPod // by the sandbox's ID
	pods, namespaces, policies cache.Store          // what the API has, once Run watches it
}

type addedPod struct {
	Pod
	done chan struct{} // closed once rules that know the pod are in
}

// New makes a controller of the pods that are added to it. The client reads
// (get, list and watch) all pods, namespaces and networkpolicies. Log takes
// what goes wrong and is tried again; nil drops it.
func New(client kubernetes.Interface, log *slog.Logger) *Controller {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Controller{
		client:  client,
		log:     log,
		changed: make(chan struct{}, 1),
		added:   map[string]*addedPod{},
	}
}

// The pauses after the first and at most after a later try to set the rules.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// Run keeps the rules until ctx ends and then returns nil; they stay as they
// are, and a later Run takes them over. It needs the program nft, which it
// runs in the network namespace of the process; without it, or without the
// right to use it, it returns an error at once. Rules that cannot be set for
// another reason are logged and tried again.
//
// The API should be there by now: client-go tries again only after a second.
func (c *Controller) Run(ctx context.Context) error {
	if c.nft == nil {
		nft, err := knftables.New(knftables.IPv4Family, table)
		if err != nil {
			return fmt.Errorf("enforce network policies: %w", err)
		}
		c.nft = nft
	}
	stop, err := c.watch(ctx)
	if err != nil {
		return fmt.Errorf("watch network policies: %w", err)
	}
	defer stop()

	c.applied = "" // someone may have changed the table meanwhile
	c.change()
	pause := firstPause
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.changed:
		}
		err := c.apply(ctx)
		if err == nil || ctx.Err() != nil {
			pause = firstPause
			continue
		}
		c.log.Error("set the rules of the network policies", "error", err, "again in", pause)
		again := time.AfterFunc(pause, c.change)
		defer again.Stop()
		pause = min(2*pause, maxPause)
	}
}

// watch fills the stores and keeps them filled until stop is called, which
// returns when nothing runs any more.
func (c *Controller) watch(ctx context.Context) (stop func(), err error) {
	informers := []cache.SharedIndexInformer{
		coreinformers.NewPodInformer(c.client, "", 0, nil),
		coreinformers.NewNamespaceInformer(c.client, 0, nil),
		networkinginformers.NewNetworkPolicyInformer(c.client, "", 0, nil),
	}
	c.mu.Lock()
	c.pods, c.namespaces, c.policies = informers[0].GetStore(), informers[1].GetStore(), informers[2].GetStore()
	c.mu.Unlock()

	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	stop = func() {
		cancel()
		running.Wait()
	}
	var synced []cache.DoneChecker
	for _, informer := range informers {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { c.change() },
			UpdateFunc: func(any, any) { c.change() },
			DeleteFunc: func(any) { c.change() },
		})
		if err != nil {
			stop()
			return nil, err
		}
		running.Go(func() { informer.RunWithContext(ctx) })
		synced = append(synced, informer.HasSyncedChecker())
	}
	cache.WaitFor(ctx, "", synced...) // or ctx ends, as Run sees
	return stop, nil
}

// change makes Run look at everything once more. What changes while it does so
// makes it look again, once, however much it is.
func (c *Controller) change() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// apply sets the rules, in one transaction, if they are not set already.
func (c *Controller) apply(ctx context.Context) error {
	s, added := c.situation()
	tx := s.rules().transaction(c.nft)
	if text := tx.String(); text != c.applied {
		if err := c.nft.Run(ctx, tx); err != nil {
			return err
		}
		c.applied = text
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, pod := range added {
		select {
		case <-pod.done:
		default:
			close(pod.done)
		}
	}
	return nil
}

// situation is what the rules are made from: of the pods those that were added
// and that the API has, which are also returned as they were added.
func (c *Controller) situation() (situation, []*addedPod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := situation{namespaces: map[string]labels.Set{}}
	for _, o := range c.namespaces.List() {
		ns := o.(*corev1.Namespace)
		s.namespaces[ns.Name] = ns.Labels
	}
	for _, o := range c.policies.List() {
		s.policies = append(s.policies, o.(*networkingv1.NetworkPolicy))
	}
	var known []*addedPod
	for _, added := range c.added {
		o, ok, err := c.pods.GetByKey(added.Namespace + "/" + added.Name)
		if err != nil || !ok || o.(*corev1.Pod).UID != added.UID {
			continue // not there yet, or another of the same name, or gone
		}
		known = append(known, added)
		s.pods = append(s.pods, newPod(o.(*corev1.Pod), added.IP))
	}
	return s, known
}

// addLimit is how long a pod may wait for its rules; the kubelet then tries
// again.
const addLimit = 20 * time.Second

// AddPod tells of a new pod and its address, and returns once its rules are
// in: what runs in it later is isolated from the first packet on. Until then
// the pod is cut off. It waits for the API to show the pod, for ctx, or for
// 20 s at most; after an error the pod is not added.
func (c *Controller) AddPod(ctx context.Context, pod Pod) error {
	ctx, cancel := context.WithTimeoutCause(ctx, addLimit, fmt.Errorf("it has none after %s, see the log of network-policy", addLimit))
	defer cancel()
	added := &addedPod{Pod: pod, done: make(chan struct{})}
	c.mu.Lock()
	if c.added[pod.ID] != nil {
		c.mu.Unlock()
		return fmt.Errorf("set network policies of pod %s/%s: it was added before", pod.Namespace, pod.Name)
	}
	c.added[pod.ID] = added
	c.mu.Unlock()
	c.change()
	select {
	case <-added.done:
		return nil
	case <-ctx.Done():
		c.RemovePod(pod.ID)
		return fmt.Errorf("set network policies of pod %s/%s: %w", pod.Namespace, pod.Name, context.Cause(ctx))
	}
}

// RemovePod tells that a pod is gone, by its sandbox's ID: its address is cut
// off soon after. One that was never added is no error.
func (c *Controller) RemovePod(id string) {
	c.mu.Lock()
	delete(c.added, id)
	c.mu.Unlock()
	c.change()
}
