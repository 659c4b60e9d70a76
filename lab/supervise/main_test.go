package supervise

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
)

// childArgument makes the test binary one of the children.
const childArgument = "child"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == childArgument {
		os.Exit(children[os.Args[2]](os.Args[3:]))
	}
	os.Exit(m.Run())
}

// children are the programs that these tests supervise. The first argument of each is
// the file that it makes when it is up.
var children = map[string]func(args []string) int{
	"serve": func(args []string) int {
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		fmt.Println("serving")
		announce(args[0])
		<-term
		fmt.Println("bye")
		return 0
	},
	// Leaves its name in a second file when it is asked to end.
	"sign off": func(args []string) int {
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		announce(args[0])
		<-term
		f, err := os.OpenFile(args[1], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return 1
		}
		defer f.Close()
		fmt.Fprintln(f, args[2])
		return 0
	},
	"fail": func([]string) int {
		for i := range 30 {
			fmt.Fprintf(os.Stderr, "line %d\n", i)
		}
		return 3
	},
	"deaf": func(args []string) int {
		signal.Ignore(syscall.SIGTERM)
		announce(args[0])
		return forever()
	},
	// Has a child that ignores SIGTERM and keeps the log open; the file has its pid.
	"parent": func(args []string) int {
		cmd := exec.Command("sh", "-c", `trap "" TERM; echo $$ > "$0.new"; mv "$0.new" "$0"; while :; do sleep 1000; done`, args[0])
		cmd.Stdout = os.Stdout
		if err := cmd.Start(); err != nil {
			return 1
		}
		return forever()
	},
}

// forever waits for a signal that nobody sends. The runtime would report an empty
// select as a deadlock in a program without cgo.
func forever() int {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	<-c
	return 0
}

func announce(file string) {
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		panic(err)
	}
}
