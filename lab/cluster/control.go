package cluster

import (
	"encoding/json"
	"net/http"
)

// The lab answers HTTP on [Folder.Control], which only the owner of the run folder can
// reach.
const (
	statusPath = "/status" // GET: a Status
	eventsPath = "/events" // GET: each Event of the bring-up as a line, until the last

	// GET: the hosts that were added. POST of a hostsFile: adds its hosts and
	// answers with an Addition, or Mistakes. DELETE of /hosts/TOKEN.
	hostsPath = "/hosts"

	// GET: each [cri.ImageInfo]. POST of what [image.Image.Send] writes: makes an image
	// and answers with its cri.ImageInfo.
	imagesPath = "/images"

	// hold, as the query of a POST, has the hosts removed when the connection ends.
	hold = "hold"
)

// newControl returns the server of the control socket.
func (l *lab) newControl() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+statusPath, func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(l.status(r.Context())) // the client may be gone
	})
	mux.HandleFunc("GET "+eventsPath, l.sendEvents)
	mux.HandleFunc("GET "+hostsPath, l.listHosts)
	mux.HandleFunc("POST "+hostsPath, l.addHosts)
	mux.HandleFunc("DELETE "+hostsPath+"/{token}", l.removeHosts)
	mux.HandleFunc("GET "+imagesPath, l.listImages)
	mux.HandleFunc("POST "+imagesPath, l.loadImage)
	return &http.Server{Handler: mux}
}

// sendEvents sends all events so far, and each further one at once.
func (l *lab) sendEvents(w http.ResponseWriter, r *http.Request) {
	out, flush := json.NewEncoder(w), http.NewResponseController(w).Flush
	for sent := 0; ; {
		list, news := l.events.after(sent)
		for _, event := range list {
			if out.Encode(event) != nil || flush() != nil || event.last() {
				return // it was the last one, or the client is gone
			}
		}
		sent += len(list)
		select {
		case <-news:
		case <-r.Context().Done():
			return
		}
	}
}
