package cri

import (
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// eventBuffer is how many events a subscriber may be behind.
const eventBuffer = 1000

// events are what happens to pods and containers, for who subscribes to it.
type events struct {
	mu          sync.Mutex
	subscribers map[chan *runtimeapi.ContainerEventResponse]bool
	closed      bool
}

// subscribe returns a channel that is closed when the subscriber is too far
// behind or the server ends.
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
		default: // it must look for itself what it has missed
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

// emit tells that something has happened to a pod, or to a container of it.
func (s *Server) emit(sb *sandbox, id string, kind runtimeapi.ContainerEventType) {
	s.mu.Lock()
	event := &runtimeapi.ContainerEventResponse{
		ContainerId:        id,
		ContainerEventType: kind,
		CreatedAt:          time.Now().UnixNano(),
		PodSandboxStatus:   sb.status(),
		ContainersStatuses: s.statusesOf(sb),
	}
	s.mu.Unlock()
	s.events.publish(event)
}

// GetContainerEvents implements the RuntimeService: it sends what happens from
// now on. The kubelet listens if its feature gate EventedPLEG is on, and learns
// of an exit at once instead of within a second.
func (s *Server) GetContainerEvents(_ *runtimeapi.GetEventsRequest, stream grpc.ServerStreamingServer[runtimeapi.ContainerEventResponse]) error {
	ch := s.events.subscribe()
	defer s.events.unsubscribe(ch)
	for {
		select {
		case event, ok := <-ch:
			if !ok {
				return status.Error(codes.ResourceExhausted, "events were not taken in time, or the server ends; list what there is and subscribe again")
			}
			if err := stream.Send(event); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return nil
		}
	}
}
