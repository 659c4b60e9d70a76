package networkpolicy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/knftables"

	"github.com/egressplay/egressplay/lab/cri"
)

// Controller sets the node's rules as the policies say, and keeps them so. It is safe
// for concurrent use.
type Controller struct {
	source Source
	log    *slog.Logger
	nft    knftables.Interface // made by Run, except in tests

	changed chan struct{} // holds one when the rules may have to change
	ready   chan struct{} // closed once rules are set
	isReady func()        // closes ready

	applied string // the last transaction of this Run that succeeded

	mu                         sync.Mutex           // guards the fields below
	added                      map[string]*addedPod // by the sandbox's ID
	pods, namespaces, policies cache.Store          // the objects of the API, once Run watches it
	err                        error                // why the rules could not be set at the last try
}

type addedPod struct {
	cri.Pod
	ip   netip.Addr
	done chan struct{} // closed once rules that include the pod are set
}

// New returns a controller for the pods that are added to it. It logs each change of
// the rules, and each error after which it tries again; log may be nil.
func New(source Source, log *slog.Logger) *Controller {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ready := make(chan struct{})
	return &Controller{
		source:  source,
		log:     log,
		changed: make(chan struct{}, 1),
		ready:   ready,
		isReady: sync.OnceFunc(func() { close(ready) }),
		added:   map[string]*addedPod{},
	}
}

// Ready returns a channel that is closed once Run has set rules for the first time.
func (c *Controller) Ready() <-chan struct{} { return c.ready }

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
// The API should answer by now: client-go tries again only after a second.
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

	c.applied = "" // someone may have changed the table in between
	c.change()
	pause := firstPause
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.changed:
		}
		err := c.apply(ctx)
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
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

// watch fills the stores and keeps them up to date until stop is called, which returns
// when nothing runs any more.
func (c *Controller) watch(ctx context.Context) (stop func(), err error) {
	informers := []cache.SharedIndexInformer{
		cache.NewSharedIndexInformer(c.source.Pods, &corev1.Pod{}, 0, nil),
		cache.NewSharedIndexInformer(c.source.Namespaces, &corev1.Namespace{}, 0, nil),
		cache.NewSharedIndexInformer(c.source.Policies, &networkingv1.NetworkPolicy{}, 0, nil),
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
	cache.WaitFor(ctx, "", synced...) // or until ctx ends, which Run checks
	return stop, nil
}

// change has Run look at everything again. Any number of changes while it does so make
// it look again once.
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
		began := time.Now()
		if err := c.nft.Run(ctx, tx); err != nil {
			return err
		}
		c.applied = text
		c.log.Info("rules are set", "policies", len(s.policies), "pods", len(s.pods), "took", time.Since(began))
	}
	c.isReady()
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

// situation returns what the rules are made from. It has the pods that were added and
// that the API has; they are also returned as they were added.
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
		if o := c.inAPI(added.Pod); o != nil {
			known = append(known, added)
			s.pods = append(s.pods, newPod(o, added.ip))
		}
	}
	return s, known
}

// addLimit is how long a pod may wait for its rules; the kubelet then tries
// again.
const addLimit = 20 * time.Second

// AddPod adds a new pod with its address, and returns once its rules are set: what runs
// in it later is isolated from the first packet on. Until then the pod is cut off.
// AddPod waits for the API to show the pod, until ctx ends, and for at most 20 s; after
// an error the pod is not added.
func (c *Controller) AddPod(ctx context.Context, pod cri.Pod, ip netip.Addr) error {
	ctx, cancel := context.WithTimeoutCause(ctx, addLimit, fmt.Errorf("not done within %s", addLimit))
	defer cancel()
	added := &addedPod{Pod: pod, ip: ip, done: make(chan struct{})}
	if !c.add(added) {
		return fmt.Errorf("set network policies of pod %s/%s: it was added before", pod.Namespace, pod.Name)
	}
	select {
	case <-added.done:
		return nil
	case <-ctx.Done():
		why := c.whyNot(pod)
		c.RemovePod(pod.ID)
		return fmt.Errorf("set network policies of pod %s/%s: %w: %w", pod.Namespace, pod.Name, context.Cause(ctx), why)
	}
}

func (c *Controller) add(pod *addedPod) (added bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.added[pod.ID] != nil {
		return false
	}
	c.added[pod.ID] = pod
	c.change()
	return true
}

// whyNot returns what an added pod still waits for.
func (c *Controller) whyNot(pod cri.Pod) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return c.err
	case c.pods == nil:
		return errors.New("the controller of network policies does not run")
	case c.inAPI(pod) == nil:
		return errors.New("the API does not show the pod")
	default:
		return errors.New("the rules are being set")
	}
}

// RemovePod removes a pod that is gone, by its sandbox's ID: its address is cut off
// soon after. A pod that was never added is ignored.
func (c *Controller) RemovePod(id string) {
	c.mu.Lock()
	delete(c.added, id)
	c.mu.Unlock()
	c.change()
}

// inAPI returns the pod as the API has it, or nil if the API does not have it yet or
// any more, even if it has another pod of the same name.
func (c *Controller) inAPI(pod cri.Pod) *corev1.Pod {
	o, ok, err := c.pods.GetByKey(pod.Namespace + "/" + pod.Name)
	if err != nil || !ok || string(o.(*corev1.Pod).UID) != pod.UID {
		return nil
	}
	return o.(*corev1.Pod)
}
