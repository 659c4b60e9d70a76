package internet

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sync/errgroup"
)

const (
	// timeToLive is how long, in seconds, an answer may be kept.
	timeToLive = 60

	longestByUDP = 512 // bytes of an answer; a client that wants more asks by TCP

	maxAliases = 8 // in a chain
)

// nameServer answers questions about the names of hosts.
type nameServer struct {
	directory *directory
	packet    net.PacketConn
	stream    net.Listener
}

// listenForNames makes the name server's sockets.
func listenForNames(network Network, addr string, directory *directory) (*nameServer, error) {
	packet, err := network.ListenPacket("udp", addr)
	if err != nil {
		return nil, err
	}
	stream, err := network.Listen("tcp", addr)
	if err != nil {
		return nil, errors.Join(err, packet.Close())
	}
	return &nameServer{directory, packet, stream}, nil
}

func (s *nameServer) close() error { return errors.Join(s.packet.Close(), s.stream.Close()) }

// byUDP answers until ctx ends and the socket is closed.
func (s *nameServer) byUDP(ctx context.Context) error {
	for question := make([]byte, longestByUDP); ; {
		n, from, err := s.packet.ReadFrom(question)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if answer := s.answer(question[:n], longestByUDP); answer != nil {
			_, _ = s.packet.WriteTo(answer, from) // the client may be gone
		}
	}
}

// byTCP answers until ctx ends and the listener is closed.
func (s *nameServer) byTCP(ctx context.Context, group *errgroup.Group) error {
	for {
		conn, err := s.stream.Accept()
		if ctx.Err() != nil {
			if err == nil {
				return conn.Close()
			}
			return nil
		}
		if err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		group.Go(func() error {
			defer stop()
			defer conn.Close()
			for s.answerOne(conn) == nil {
			}
			return nil
		})
	}
}

// answerOne answers one question; by TCP each has its length before it.
func (s *nameServer) answerOne(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(silence)); err != nil {
		return err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	question := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, question); err != nil {
		return err
	}
	answer := s.answer(question, 1<<16-1)
	if answer == nil {
		return errors.New("no question")
	}
	_, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	return err
}

// answer returns the answer to a question, in at most most bytes. It returns nil if the
// packet is not a question.
func (s *nameServer) answer(question []byte, most int) []byte {
	var parser dnsmessage.Parser
	asked, err := parser.Start(question)
	if err != nil || asked.Response {
		return nil
	}
	head := dnsmessage.Header{
		ID: asked.ID, OpCode: asked.OpCode, Response: true, Authoritative: true,
		RecursionDesired: asked.RecursionDesired, RecursionAvailable: true,
	}
	if asked.OpCode != 0 {
		head.RCode = dnsmessage.RCodeNotImplemented
		return build(head, nil, nil)
	}
	q, err := parser.Question()
	if err != nil {
		head.RCode = dnsmessage.RCodeFormatError
		return build(head, nil, nil)
	}
	aliases, addrs, exists := s.directory.now().resolve(nameIn(q.Name.String()))
	if !exists {
		head.RCode = dnsmessage.RCodeNameError
	}
	var resources []dnsmessage.Resource
	name := q.Name
	for _, alias := range aliases {
		to, err := dnsmessage.NewName(alias + ".")
		if err != nil {
			head.RCode = dnsmessage.RCodeServerFailure
			return build(head, &q, nil)
		}
		resources = append(resources, resource(name, dnsmessage.TypeCNAME, &dnsmessage.CNAMEResource{CNAME: to}))
		name = to
	}
	switch q.Type {
	case dnsmessage.TypeA, dnsmessage.TypeALL:
		for _, addr := range addrs {
			resources = append(resources, resource(name, dnsmessage.TypeA, &dnsmessage.AResource{A: addr.As4()}))
		}
	case dnsmessage.TypeCNAME:
		resources = resources[:min(1, len(resources))]
	}
	answer := build(head, &q, resources)
	if len(answer) > most {
		head.Truncated = true
		return build(head, &q, nil)
	}
	return answer
}

func resource(name dnsmessage.Name, kind dnsmessage.Type, body dnsmessage.ResourceBody) dnsmessage.Resource {
	header := dnsmessage.ResourceHeader{Name: name, Type: kind, Class: dnsmessage.ClassINET, TTL: timeToLive}
	return dnsmessage.Resource{Header: header, Body: body}
}

// build packs an answer. It returns nil if that is impossible; then nothing is
// answered.
func build(head dnsmessage.Header, q *dnsmessage.Question, resources []dnsmessage.Resource) []byte {
	message := dnsmessage.Message{Header: head, Answers: resources}
	if q != nil {
		message.Questions = []dnsmessage.Question{*q}
	}
	packed, err := message.Pack()
	if err != nil {
		return nil
	}
	return packed
}
