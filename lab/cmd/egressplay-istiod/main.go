// Command egressplay-istiod is Istio's pilot-discovery, unchanged, and Istio's
// renderer of its charts:
//
//	egressplay-istiod discovery [FLAGS]
//	egressplay-istiod manifest FILE...
//
// Under the name istioctl it is istioctl. The three share nearly all of their code:
// istioctl makes the file 7 MB larger and does not change istiod's memory.
//
// It is a program of its own, not a part of egressplay-components, because every
// process keeps in memory everything that its binary sets up at the start.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"istio.io/istio/istioctl/cmd"
	"istio.io/istio/operator/pkg/render"
	"istio.io/istio/operator/pkg/util/clog"
	"istio.io/istio/pilot/cmd/pilot-discovery/app"
	"istio.io/istio/pkg/log"
)

func main() {
	if filepath.Base(os.Args[0]) == "istioctl" {
		istioctl(os.Args[1:])
	}
	if len(os.Args) > 1 && os.Args[1] == "manifest" {
		if err := manifest(os.Args[2:]); err != nil {
			fmt.Fprintf(os.Stderr, "render Istio's charts: %v\n", err)
			os.Exit(1)
		}
		return
	}
	// As Istio's own pilot/cmd/pilot-discovery/main.go starts it.
	log.EnableKlogWithCobra()
	if err := app.NewRootCommand().Execute(); err != nil {
		log.Error(err)
		os.Exit(1)
	}
}

// istioctl does what Istio's own istioctl/cmd/istioctl/main.go does, but does not read
// the user's configuration of istioctl, which is about other meshes.
func istioctl(args []string) {
	root := cmd.GetRootCmd(args)
	log.EnableKlogWithCobra()
	if err := root.Execute(); err != nil {
		os.Exit(cmd.GetExitCode(err))
	}
	os.Exit(0)
}

// manifest renders Istio's charts, which istio.io/istio/manifests embeds, with
// IstioOperator files ("-" is stdin), and prints the objects as JSON, one per line.
func manifest(files []string) error {
	// stdout is for the objects alone.
	logger := clog.NewConsoleLogger(os.Stderr, os.Stderr, nil)
	sets, _, err := render.GenerateManifest(files, nil, false, nil, logger)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for _, s := range sets {
		for _, m := range s.Manifests {
			if err := out.Encode(m.Object); err != nil {
				return err
			}
		}
	}
	return nil
}
