package cluster

import (
	"encoding/json"
	"net/http"
)

// The lab is asked by HTTP on [Folder.Control], which nobody but the
// owner of the run folder reaches.
const (
	statusPath = "/status" // GET: a Status
	eventsPath = "/events" // GET: each Event of the bring-up as a line, until the last

	// GET: the hosts that were added. POST of a hostsFile: adds its hosts and
	// answers with an Addition, or Mistakes. DELETE of /hosts/TOKEN.
	hostsPath = "/hosts"

	// GET: each [cri.ImageInfo]. POST of what [image.Image.Send] writes: makes an image
	// and answers with its cri.ImageInfo.
	imagesPath = "/images"

	// hold, as POST's query, has the hosts go when the connection does.
	hold = "hold"
)

// newControl makes the server of the control socket.
func (l *lab) newControl() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+statusPath, func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(l.status(r.Context())) // who asked may be gone
	})
	mux.HandleFunc("GET "+eventsPath, l.sendEvents)
	mux.HandleFunc("GET "+hostsPath, l.listHosts)
	mux.HandleFunc("POST "+hostsPath, l.addHosts)
	mux.HandleFunc("DELETE "+hostsPath+"/{token}", l.removeHosts)
	mux.HandleFunc("GET "+imagesPath, l.listImages)
	mux.HandleFunc("POST "+imagesPath, l.loadImage)
	return &http.Server{Handler: mux}
}

// sendEvents sends what has happened and what happens, each at once.
func (l *lab) sendEvents(w http.ResponseWriter, r *http.Request) {
	out, flush := json.NewEncoder(w), http.NewResponseController(w).Flush
	for sent := 0; ; {
		list, news := l.events.after(sent)
		for _, event := range list {
			if out.Encode(event) != nil || flush() != nil || event.last() {
				return // the last one, or who asked is gone
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
