package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/controller-manager/pkg/clientbuilder"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/names"
	"k8s.io/kubernetes/pkg/controller/namespace/deletion"
)

// newControllerManagerCommand returns kube-controller-manager with a namespace
// controller that waits for the duration settled instead of 5 s. Kubernetes has no
// setting for that (pkg/controller/namespace/namespace_controller.go,
// namespaceDeletionGracePeriod): it waits for API servers and etcd servers that do not
// know of the deletion yet. A lab has one of each.
//
// The namespace's contents are deleted by Kubernetes' own code.
func newControllerManagerCommand() *cobra.Command {
	c := controllermanager.NewControllerManagerCommand()
	run := c.RunE
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if err := cmd.Flags().Set("controllers", "*,-"+names.NamespaceController); err != nil {
			return err
		}
		config, err := clientcmd.BuildConfigFromFlags("", cmd.Flag("kubeconfig").Value.String())
		if err != nil {
			return fmt.Errorf("the namespace controller's client: %w", err)
		}
		address := net.JoinHostPort(cmd.Flag("bind-address").Value.String(), cmd.Flag("secure-port").Value.String())
		go func() {
			// kube-controller-manager sets up logging, which clients use, before it serves.
			err := served(cmd.Context(), address)
			if err == nil {
				err = deleteNamespaces(cmd.Context(), config)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "the namespace controller ended:", err)
				os.Exit(1) // it is started again
			}
		}()
		return run(cmd, args)
	}
	return c
}

// served returns once an address accepts a connection.
func served(ctx context.Context, address string) error {
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(firstPause):
		}
	}
}

const (
	// settled is how long after a namespace's deletion its contents are deleted.
	// Requests that were admitted before the deletion have been served by then.
	settled = time.Second / 2

	// The pauses between two attempts to delete a namespace in which something is left.
	firstPause = time.Second / 10
	lastPause  = time.Second

	// deleters is how many namespaces are deleted at the same time.
	deleters = 4
)

// deleteNamespaces deletes the contents of each namespace that is to go, and then has
// the API server delete the namespace. config is kube-controller-manager's own.
func deleteNamespaces(ctx context.Context, config *rest.Config) error {
	config.QPS, config.Burst = 1000, 2000
	// As kube-controller-manager does for each of its controllers, with
	// --use-service-account-credentials.
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	builder := clientbuilder.NewDynamicClientBuilder(rest.AnonymousClientConfig(config), core.CoreV1(), "kube-system")
	own, err := builder.Config("namespace-controller")
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(own)
	if err != nil {
		return err
	}
	objects, err := metadata.NewForConfig(own)
	if err != nil {
		return err
	}

	queue := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstPause, lastPause))
	defer queue.ShutDown()
	// seen queues a namespace that is to go.
	seen := func(obj any) {
		if ns, ok := obj.(*corev1.Namespace); ok && ns.DeletionTimestamp != nil {
			queue.AddAfter(ns.Name, settled)
		}
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	informer := factory.Core().V1().Namespaces().Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    seen,
		UpdateFunc: func(_, obj any) { seen(obj) },
	}); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	// The API server may come later. deleteNamespaces ends the process if it cannot
	// reach it.
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return context.Cause(ctx)
	}
	deleter := deletion.NewNamespacedResourcesDeleter(ctx, client.CoreV1().Namespaces(), objects, client.CoreV1(),
		client.Discovery().ServerPreferredNamespacedResources, corev1.FinalizerKubernetes)
	for range deleters {
		go func() {
			for deleteNext(ctx, queue, deleter) {
			}
		}()
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// deleteNext deletes the next namespace of a queue. If something is left in the
// namespace, deleteNext queues it again. It returns false when the queue has ended.
func deleteNext(ctx context.Context, queue workqueue.TypedRateLimitingInterface[string], deleter deletion.NamespacedResourcesDeleterInterface) bool {
	name, over := queue.Get()
	if over {
		return false
	}
	defer queue.Done(name)
	switch err := deleter.Delete(ctx, name).(type) {
	case nil:
		queue.Forget(name)
	case *deletion.ResourcesRemainingError: // pods that end, finalizers
		queue.AddRateLimited(name)
	default:
		queue.AddRateLimited(name)
		fmt.Fprintf(os.Stderr, "delete namespace %s: %v\n", name, err)
	}
	return true
}
