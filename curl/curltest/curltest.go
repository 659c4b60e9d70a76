// Package curltest plays curl in tests that run no command.
package curltest

import (
	"maps"
	"strconv"
	"strings"
)

// Print returns what curl writes to stdout for a command line that
// [github.com/egressplay/egressplay/curl.Parse] made: what it printed, and the
// report. Without values it tells of one response, 200 over HTTP/1.1, whose
// body is what was printed; a value is by the name of its variable of
// --write-out.
func Print(argv []string, printed string, values map[string]string) string {
	all := map[string]string{
		"exitcode": "0", "urlnum": "0", "response_code": "200", "http_connect": "000",
		"num_redirects": "0", "num_connects": "1", "ssl_verify_result": "0",
		"size_header": "67", "size_download": strconv.Itoa(len(printed)), "size_upload": "0",
		"time_total": "0.003", "time_connect": "0.001", "time_appconnect": "0.000", "time_starttransfer": "0.002",
		"local_ip": "10.244.1.6", "local_port": "40000", "remote_ip": "203.0.113.13", "remote_port": "80",
		"http_version": "1.1", "scheme": "HTTP", "method": "GET", "url_effective": argv[len(argv)-1],
		"errormsg": "",
	}
	maps.Copy(all, values)
	for _, word := range argv {
		if !strings.Contains(word, "%{exitcode}") {
			continue
		}
		for variable, value := range all {
			word = strings.ReplaceAll(word, "%{"+variable+"}", value)
		}
		return printed + word
	}
	return printed
}
