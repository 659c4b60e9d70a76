package main

import (
	"fmt"
	"os"
	"strings"

	"istio.io/istio/operator/pkg/render"
	"istio.io/istio/operator/pkg/util/clog"
	"istio.io/istio/pilot/cmd/pilot-discovery/app"
	"istio.io/istio/pkg/log"
)

// pilotDiscovery is istiod, as Istio's own pilot/cmd/pilot-discovery/main.go starts it.
func pilotDiscovery() {
	log.EnableKlogWithCobra()
	if err := app.NewRootCommand().Execute(); err != nil {
		log.Error(err)
		os.Exit(1)
	}
}

// istioManifest renders Istio's charts, which istio.io/istio/manifests embeds, by
// the IstioOperator files named as arguments, and prints the objects as YAML
// documents.
func istioManifest() {
	// The only logger that goes to stderr alone: stdout is for the objects.
	logger := clog.NewConsoleLogger(os.Stderr, os.Stderr, nil)
	sets, _, err := render.GenerateManifest(os.Args[1:], nil, false, nil, logger)
	if err != nil {
		fmt.Fprintf(os.Stderr, "render Istio's charts: %v\n", err)
		os.Exit(1)
	}
	for _, s := range sets {
		for _, m := range s.Manifests {
			fmt.Println("---\n" + strings.TrimSpace(m.Content))
		}
	}
}
