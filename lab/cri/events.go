package cri

import (
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// eventBuffer is how many events a subscriber may fall behind.
const eventBuffer = 1000

// events sends what happens to pods and containers to those who subscribe.
type events struct {
	mu          sync.Mutex
	subscribers map[chan *runtimeapi.ContainerEventResponse]bool
	closed      bool
}

// subscribe returns a channel that is closed if the subscriber falls too far behind, or
// when the server ends.
func (e *events) subscribe() chan *runtimeapi.ContainerEventResponse {
	e.mu.Lock()
	defer e.mu.Unlock()
	ch := make(chan *runtimeapi.ContainerEventResponse, eventBuffer)
	if e.closed {
		close(ch)
		return ch
	}
	if e.subscribers == nil {
		e.subscribers = map[chan *runtimeapi.ContainerEventResponse]bool{}
	}
	e.subscribers[ch] = true
	return ch
}

// unsubscribe may be called for a channel that has been closed.
func (e *events) unsubscribe(ch chan *runtimeapi.ContainerEventResponse) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.subscribers, ch)
}

func (e *events) publish(event *runtimeapi.ContainerEventResponse) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for ch := range e.subscribers {
		select {
		case ch <- event:
		default: // it must find out itself what it has missed
			delete(e.subscribers, ch)
			close(ch)
		}
	}
}

func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for ch := range e.subscribers {
		delete(e.subscribers, ch)
		close(ch)
	}
}

// emit reports that something has happened to a pod, or to one of its containers.
// One lock fixes both the state and the time of the report, because the kubelet
// drops an event that is older than what it knows.
func (s *Server) emit(sb *sandbox, id string, kind runtimeapi.ContainerEventType) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events.publish(s.event(sb, id, kind))
}

// event needs Server.mu.
func (s *Server) event(sb *sandbox, id string, kind runtimeapi.ContainerEventType) *runtimeapi.ContainerEventResponse {
	return &runtimeapi.ContainerEventResponse{
		ContainerId:        id,
		ContainerEventType: kind,
		CreatedAt:          time.Now().UnixNano(),
		PodSandboxStatus:   sb.status(),
		ContainersStatuses: s.statusesOf(sb),
	}
}

// refreshPeriod is how often a pod to which nothing happens is reported to the kubelet:
// as often as the kubelet would look if it did not listen to events.
const refreshPeriod = time.Second

// refresh reports the state of each pod again. Before the kubelet does anything about a
// pod, it waits for a report that is newer than what it did last. Without one, a pod to
// which nothing happens, such as one that waits for its image, would take 5s for each
// step of its deletion (pkg/kubelet/pleg/evented.go, globalCacheUpdatePeriod).
// CONTAINER_CREATED_EVENT is the only kind of event that the kubelet only takes note
// of.
func (s *Server) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sb := range s.sandboxes {
		s.events.publish(s.event(sb, sb.id, runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT))
	}
}

// GetContainerEvents implements the RuntimeService: it sends each event from now on.
// The kubelet listens if its feature gate EventedPLEG is on, and then learns of an exit
// at once instead of within a second.
func (s *Server) GetContainerEvents(_ *runtimeapi.GetEventsRequest, stream grpc.ServerStreamingServer[runtimeapi.ContainerEventResponse]) error {
	ch := s.events.subscribe()
	defer s.events.unsubscribe(ch)
	tick := time.NewTicker(refreshPeriod)
	defer tick.Stop()
	for {
		select {
		case event, ok := <-ch:
			if !ok {
				return status.Error(codes.ResourceExhausted, "events were not taken in time, or the server ends; list what there is and subscribe again")
			}
			if err := stream.Send(event); err != nil {
				return err
			}
		case <-tick.C:
			s.refresh()
		case <-stream.Context().Done():
			return nil
		}
	}
}
