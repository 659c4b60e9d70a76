package runner

import "time"

// An Arrival is one request that reached the far end, as the far end recorded
// it. What is not known is zero.
type Arrival struct {
	Time     time.Time `json:"time"` // of the request's arrival
	Host     string    `json:"host"`
	TLS      bool      `json:"tls"`
	SNI      string    `json:"sni"`
	ALPN     string    `json:"alpn"`     // the protocol that both agreed on in TLS
	Protocol string    `json:"protocol"` // "HTTP/1.1", "HTTP/2.0"
	Method   string    `json:"method"`   // "" for a connection that ended without a request
	Path     string    `json:"path"`
	Status   int       `json:"status"`
	Remote   string    `json:"remote"` // "ip:port" that it came from
	// ClientCertificate is the subject of the certificate that the client
	// showed.
	ClientCertificate string `json:"clientCertificate"`
}
