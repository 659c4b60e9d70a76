//go:build lab

package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/lab/pki"
)

// nginx as in Istio's task "Egress TLS Origination", "Mutual TLS".
const nginxManifest = `
apiVersion: v1
kind: ConfigMap
metadata: {name: nginx-configmap}
data:
  nginx.conf: |
    events {
    }

    http {
      log_format main '$remote_addr - $remote_user [$time_local]  $status '
      '"$request" $body_bytes_sent "$http_referer" '
      '"$http_user_agent" "$http_x_forwarded_for"';
      access_log /var/log/nginx/access.log main;
      error_log  /var/log/nginx/error.log;

      server {
        listen 443 ssl;

        root /usr/share/nginx/html;
        index index.html;

        server_name my-nginx.mesh-external.svc.cluster.local;
        ssl_certificate /etc/nginx-server-certs/tls.crt;
        ssl_certificate_key /etc/nginx-server-certs/tls.key;
        ssl_client_certificate /etc/nginx-ca-certs/ca.crt;
        ssl_verify_client on;
      }
    }
---
apiVersion: v1
kind: Service
metadata: {name: my-nginx, labels: {run: my-nginx}}
spec: {ports: [{port: 443, protocol: TCP}], selector: {run: my-nginx}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: my-nginx}
spec:
  selector: {matchLabels: {run: my-nginx}}
  template:
    metadata: {labels: {run: my-nginx}}
    spec:
      containers:
      - name: my-nginx
        image: nginx
        ports: [{containerPort: 443}]
        volumeMounts:
        - {name: nginx-config, mountPath: /etc/nginx, readOnly: true}
        - {name: nginx-server-certs, mountPath: /etc/nginx-server-certs, readOnly: true}
        - {name: nginx-ca-certs, mountPath: /etc/nginx-ca-certs, readOnly: true}
      volumes:
      - {name: nginx-config, configMap: {name: nginx-configmap}}
      - {name: nginx-server-certs, secret: {secretName: nginx-server-certs}}
      - {name: nginx-ca-certs, secret: {secretName: nginx-ca-certs}}
`

func TestNginxWithMutualTLS(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	ca, err := pki.NewCA("example.com")
	require.NoError(t, err)
	server, err := ca.Issue(pki.Request{DNSNames: []string{"my-nginx"}})
	require.NoError(t, err)
	client, err := ca.Issue(pki.Request{CommonName: "client.example.com"})
	require.NoError(t, err)
	secret := func(name string, data map[string][]byte) {
		text := "apiVersion: v1\nkind: Secret\nmetadata: {name: " + name + "}\ndata:\n"
		for key, value := range data {
			text += fmt.Sprintf("  %s: %s\n", key, base64.StdEncoding.EncodeToString(value))
		}
		n.apply(text)
	}
	secret("nginx-server-certs", map[string][]byte{"tls.crt": server.CertPEM, "tls.key": server.KeyPEM})
	secret("nginx-ca-certs", map[string][]byte{"ca.crt": ca.CertPEM()})
	secret("client", map[string][]byte{"tls.crt": client.CertPEM, "tls.key": client.KeyPEM, "ca.crt": ca.CertPEM()})
	n.apply(nginxManifest)
	n.apply(pod("client", forever, "volumes: [{name: certs, secret: {secretName: client}}]", "volumeMounts: [{name: certs, mountPath: /certs}]"))
	n.ready("deployment/my-nginx", "Available")
	n.ready("pod/client", "Ready")

	curl := func(args ...string) string {
		var r result
		n.eventually(func() bool { // nginx listens a moment after its start
			r = n.kubectl(append([]string{"exec", "client", "--", "curl", "-sS", "-m", "20", "--cacert", "/certs/ca.crt"}, args...)...)
			return r.code == 0
		}, func() string { return r.stderr })
		return r.stdout
	}
	assert.Contains(t, curl("--cert", "/certs/tls.crt", "--key", "/certs/tls.key", "https://my-nginx/"), "<title>Welcome to nginx!</title>")
	assert.Contains(t, curl("https://my-nginx/"), "No required SSL certificate was sent")
	assert.Contains(t, curl("http://my-nginx:443/"), "The plain HTTP request was sent to HTTPS port")

	n.eventuallyLogged(` 200 "GET / HTTP/1.1"`, "logs", "deploy/my-nginx")
	n.eventuallyLogged(` 400 "GET / HTTP/1.1"`, "logs", "deploy/my-nginx")
	n.must("exec", "deploy/my-nginx", "--", "nginx", "-t")
}

// nginx without a configuration of the user's serves its page.
func TestNginxAlone(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	curl := curlFrom(n)
	n.apply(`
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - {name: nginx, image: "docker.io/library/nginx:1.27", readinessProbe: {httpGet: {port: 80}, periodSeconds: 1}}
`)
	n.ready("pod/web", "Ready")
	assert.Contains(t, curl("http://"+n.field("pod/web", ".status.podIP")).stdout, "<title>Welcome to nginx!</title>")
}

// Istio's sample httpbin serves at its Service's port.
func TestHTTPBinImage(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	curl := curlFrom(n)
	sample, err := os.ReadFile("../../../playbooks/samples/httpbin/httpbin.yaml")
	require.NoError(t, err)
	n.apply(string(sample))
	n.must("rollout", "status", "deploy/httpbin", "--timeout=60s")
	var body string
	n.eventually(func() bool { // it listens a moment after its start
		body = curl("http://httpbin:8000/get?a=b").stdout
		return body != ""
	}, func() string { return "httpbin answers nothing" })
	assert.Contains(t, body, `"a": [`)
	assert.Contains(t, curl("-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://httpbin:8000/status/418").stdout, "418")
}

// squid as in Istio's task "Using an External HTTPS Proxy".
const squidManifest = `
apiVersion: v1
kind: ConfigMap
metadata: {name: proxy-configmap}
data:
  squid.conf: |
    http_port 3128

    acl SSL_ports port 443
    acl CONNECT method CONNECT

    http_access deny CONNECT !SSL_ports
    http_access allow localhost manager
    http_access deny manager
    http_access allow all

    coredump_dir /var/spool/squid
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: squid}
spec:
  replicas: 1
  selector: {matchLabels: {app: squid}}
  template:
    metadata: {labels: {app: squid}}
    spec:
      volumes:
      - {name: proxy-config, configMap: {name: proxy-configmap}}
      containers:
      - name: squid
        image: sameersbn/squid:3.5.27
        imagePullPolicy: IfNotPresent
        volumeMounts: [{name: proxy-config, mountPath: /etc/squid, readOnly: true}]
`

func TestSquid(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	n.apply(squidManifest)
	curl := curlFrom(n)
	n.ready("deployment/squid", "Available")
	proxy := n.must("get", "pods", "-l", "app=squid", "-o", "jsonpath={.items[0].status.podIP}") + ":3128"

	var r result
	n.eventually(func() bool { // squid listens a moment after its start
		r = curl("-x", proxy, "https://en.wikipedia.org/wiki/Main_Page")
		return r.code == 0
	}, func() string { return r.stderr })
	assert.Contains(t, r.stdout, "<title>Wikipedia, the free encyclopedia</title>")
	r = curl("-p", "-x", proxy, "http://httpbin.org/headers")
	assert.Equal(t, 56, r.code)
	assert.Contains(t, r.stderr, "CONNECT tunnel failed, response 403")
	assert.Contains(t, curl("-x", proxy, "http://httpbin.org/headers").stdout, `"Via"`)

	accessLog := []string{"exec", "deploy/squid", "--", "cat", "/var/log/squid/access.log"}
	n.eventuallyLogged("TCP_DENIED/403", accessLog...)
	assert.Regexp(t, `TCP_TUNNEL/200 \d+ CONNECT en\.wikipedia\.org:443 - HIER_DIRECT/203\.0\.113\.14 -`, n.eventuallyLogged("TCP_TUNNEL", accessLog...))
	assert.Equal(t, "13\n", n.must("exec", "deploy/squid", "--", "id", "-u"))

	name := n.must("get", "pods", "-l", "app=squid", "-o", "name")
	n.must("delete", strings.TrimSpace(name), "--timeout=20s") // less than squid would wait for its clients
}
