package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// namespace is where everything happens; setup.yaml makes it.
const namespace = "bench"

//go:embed setup.yaml
var setup []byte

// A lab is the running lab, with a pod in it.
type lab struct {
	bench   *bench
	started bool // by us
	config  *rest.Config
	client  kubernetes.Interface
	dynamic dynamic.Interface
	pod     string
}

// enterLab starts the lab if it does not run, and a pod in it.
func (b *bench) enterLab(ctx context.Context) (l *lab, err error) {
	l = &lab{bench: b}
	kubeconfig := b.running(ctx)
	if kubeconfig == "" {
		fmt.Println("\nstarting a lab")
		l.started = true
		if _, err := output(b.program(ctx, "egressplay-lab", "up")); err != nil {
			return nil, err
		}
		kubeconfig = b.running(ctx)
	}
	defer func() {
		if err != nil && l.started {
			_, _ = output(b.program(context.WithoutCancel(ctx), "egressplay-lab", "down")) // what failed before says more
		}
	}()
	if l.config, err = clientcmd.BuildConfigFromFlags("", kubeconfig); err != nil {
		return nil, err
	}
	l.config.QPS = -1
	if l.client, err = kubernetes.NewForConfig(l.config); err != nil {
		return nil, err
	}
	if l.dynamic, err = dynamic.NewForConfig(l.config); err != nil {
		return nil, err
	}

	file := filepath.Join(b.dir, "setup.yaml")
	if err := os.WriteFile(file, setup, 0o644); err != nil {
		return nil, err
	}
	if _, err := output(b.program(ctx, "egressplay", "run", file, "--keep")); err != nil {
		return nil, err
	}
	pods, err := l.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=sleep", FieldSelector: "status.phase=" + string(corev1.PodRunning)})
	if err != nil {
		return nil, err
	}
	if len(pods.Items) != 1 {
		return nil, fmt.Errorf("namespace %s has %d running pods, want one", namespace, len(pods.Items))
	}
	l.pod = pods.Items[0].Name
	return l, nil
}

// running returns the kubeconfig of the lab, "" where none runs.
func (b *bench) running(ctx context.Context) string {
	var status struct {
		Ready      bool   `json:"ready"`
		Kubeconfig string `json:"kubeconfig"`
	}
	out, err := output(b.program(ctx, "egressplay-lab", "status", "-o", "json"))
	if err != nil || json.Unmarshal(out, &status) != nil || !status.Ready {
		return "" // where more is wrong, starting one says so
	}
	return status.Kubeconfig
}

// leave leaves the lab as it was: gone, if it was started here.
func (l *lab) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if l.started {
		_, err := output(l.bench.program(ctx, "egressplay-lab", "down"))
		return err
	}
	return l.client.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{})
}
