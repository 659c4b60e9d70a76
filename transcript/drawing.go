package transcript

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/egressplay/egressplay/evidence"
)

// A drawing is the way of one request, from top to bottom: a box for the pod, for
// each proxy and for the end, and an arrow between two.
type drawing struct {
	Title  string // the way in words
	Boxes  []box
	Arrows []arrow
}

type box struct {
	Y           int
	Name, Below string // Below is what is known besides, "" for nothing
	Class       string // "", "end", "bad" for an end before the far one, or "unknown"
}

type arrow struct {
	From, To int
	Text     string
	Class    string // as that of the box to which it leads
}

// In pixels, and in characters of 12 pixels that fit into a box and beside an arrow.
const (
	boxHeight  = 44
	arrowSpace = 36
	boxText    = 38
	arrowText  = 34
	mostDrawn  = 10 // ways of a step
)

// drawings returns the ways of an attempt's requests, as far as somebody saw them.
func drawings(a *evidence.Attempt) []*drawing {
	if a == nil || a.Command == nil {
		return nil
	}
	var all []*drawing
	for i := range a.Ways {
		if len(all) < mostDrawn {
			all = append(all, drawWay(a, &a.Ways[i]))
		}
	}
	if len(all) == 0 && a.Past != nil {
		if held, judged, why := a.Past.Held(); held && judged {
			all = append(all, drawWay(a, &evidence.Way{Direct: true, By: why}))
		}
	}
	return all
}

func drawWay(a *evidence.Attempt, w *evidence.Way) *drawing {
	d := &drawing{Title: w.Words()}
	if w.By != "" {
		d.Title += ", by " + w.By
	}
	d.box(a.Command.Pod.Name, a.Command.Pod.Namespace, "")
	if w.Direct {
		d.arrow("past the sidecar", "end")
		remote := ""
		if n := len(a.Transfers); n > 0 {
			remote = a.Transfers[n-1].Remote
		}
		d.box(orNone(remote), "", "end")
		return d
	}
	asked := ""
	for i, hop := range w.Hops {
		d.arrow(asked, "")
		d.box(hop.Name, hop.Pod.Name, "")
		asked = ""
		if i < len(w.Lines) && 0 <= w.Lines[i] && w.Lines[i] < len(a.Lines) {
			asked = askedBy(&a.Lines[w.Lines[i]])
		}
	}
	switch {
	case w.Unknown != "":
		d.arrow(asked, "unknown")
		d.box("?", w.Unknown, "unknown")
	case w.Ends != "":
		d.arrow(asked, "bad")
		d.box(w.Ends, strings.TrimSpace(w.Address+" "+w.Why), "bad")
	default:
		d.arrow(asked, "end")
		d.box(w.EndName(), arrivedAs(a, w.Address), "end")
	}
	return d
}

// askedBy returns what a proxy's line says of the request that it sent on.
func askedBy(l *evidence.Line) string {
	switch {
	case l.Method != "":
		return fmt.Sprintf("%s %s %d", l.Method, l.Path, l.Status)
	case l.SNI != "":
		return "TLS for " + l.SNI
	}
	return "a connection"
}

// arrivedAs returns how the far end at an address saw the request; the address
// alone where nobody recorded it.
func arrivedAs(a *evidence.Attempt, address string) string {
	if a.Arrivals == nil {
		return address
	}
	for i := range a.Arrivals.All {
		if r := &a.Arrivals.All[i]; r.Ours && r.Local == address {
			how := "without TLS"
			if r.TLS {
				how = "TLS"
			}
			return strings.Join([]string{address, how, r.Protocol}, " ")
		}
	}
	return address
}

func (d *drawing) box(name, below, class string) {
	y := 1 + len(d.Boxes)*(boxHeight+arrowSpace)
	d.Boxes = append(d.Boxes, box{y, ansi.Truncate(oneLine(name), boxText, "…"), ansi.Truncate(oneLine(below), boxText, "…"), class})
}

// arrow leads from the last box to the next one.
func (d *drawing) arrow(text, class string) {
	from := d.Boxes[len(d.Boxes)-1].Y + boxHeight
	d.Arrows = append(d.Arrows, arrow{from, from + arrowSpace, ansi.Truncate(oneLine(text), arrowText, "…"), class})
}

// Height returns how high the drawing is.
func (d *drawing) Height() int { return d.Boxes[len(d.Boxes)-1].Y + boxHeight + 1 }

// NameY returns where a box has its first line.
func (b box) NameY() int {
	if b.Below == "" {
		return b.Y + 27
	}
	return b.Y + 19
}

// BelowY returns where the second line is.
func (b box) BelowY() int { return b.Y + 36 }

// TextY returns where an arrow has its text.
func (a arrow) TextY() int { return a.From + 22 }

// Shaft returns the path of an arrow without its point.
func (a arrow) Shaft() string { return fmt.Sprintf("M24 %d V%d", a.From, a.To-6) }

// Tip returns the path of an arrow's point.
func (a arrow) Tip() string { return fmt.Sprintf("M19 %d L29 %d L24 %d Z", a.To-7, a.To-7, a.To) }
