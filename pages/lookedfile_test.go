package pages

import "testing"

// TestLookedFiles has files into which a page writes what it looks up, and reads them.
func TestLookedFiles(t *testing.T) {
	const write = "kubectl get cm a -o jsonpath='{.data.k}' | base64 -d > token.txt\n"
	const set = "{shell: TOKEN_TXT=$(kubectl get cm a -o jsonpath='{.data.k}' | base64 -d)} "
	holds(t, Options{}, []kind{
		{name: "read by cat", text: "$ " + write + "$ cat token.txt\nabc", want: set + "{shell: echo $TOKEN_TXT} {expect: {shown: abc }}"},
		{name: "and an end of line", text: "$ " + write + "$ cat ./token.txt; echo\nabc", want: set + "{shell: echo $TOKEN_TXT; echo} {expect: {shown: abc }}"},
		{name: "its beginning", text: write + "head -c 3 token.txt\nABC", want: set + "{shell: echo $TOKEN_TXT | head -c 3} {expect: {shown: ABC }}"},
		{name: "through a pipe", text: "$ " + write + "$ cat token.txt | grep a\nabc", want: set + "{shell: echo $TOKEN_TXT | grep a} {expect: {shown: abc }}"},
		{name: "as input", text: "$ " + write + "$ grep a < token.txt\nabc", want: set + "{shell: echo $TOKEN_TXT | grep a} {expect: {shown: abc }}"},
		{name: "of a pod", text: "$ kubectl exec $POD -- curl -s u > out.html\n$ grep -o title out.html\ntitle", want: "{shell: OUT_HTML=$(kubectl exec $POD -- curl -s u)} {shell: echo $OUT_HTML | grep -o title} {expect: {shown: title }}"},
		{name: "counted", text: "$ " + write + "$ wc -c token.txt\n4", err: "it reads no file"},
		{name: "applied", text: "$ " + write + "$ kubectl apply -f token.txt", err: "what is in the file token.txt is known only at the run"},
		{name: "gone", text: "$ " + write + "$ rm token.txt\n$ cat token.txt\nabc", err: "has not written the file token.txt"},
		{name: "with an output", text: "$ kubectl exec $POD -- curl -s u > out.html\ncommand terminated with exit code 6", err: "with a redirection of a file"},
		{name: "of a change", text: "$ kubectl delete svc a > out.txt", err: "with a redirection of a file"},
		{name: "outside", text: "$ kubectl get cm a > /tmp/x", err: "with a redirection of a file"},
		{name: "added", text: "$ kubectl get cm a >> x.txt", err: "with a redirection of a file"},
	})
}
