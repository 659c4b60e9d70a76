package main

import (
	"encoding/json"
	"fmt"
	"os"

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
// the IstioOperator files named as arguments ("-" is stdin), and prints the
// objects as JSON, one a line.
func istioManifest() {
	// stdout is for the objects alone.
	logger := clog.NewConsoleLogger(os.Stderr, os.Stderr, nil)
	sets, _, err := render.GenerateManifest(os.Args[1:], nil, false, nil, logger)
	if err != nil {
		fmt.Fprintf(os.Stderr, "render Istio's charts: %v\n", err)
		os.Exit(1)
	}
	out := json.NewEncoder(os.Stdout)
	for _, s := range sets {
		for _, m := range s.Manifests {
			if err := out.Encode(m.Object); err != nil {
				fmt.Fprintf(os.Stderr, "print Istio's objects: %v\n", err)
				os.Exit(1)
			}
		}
	}
}
