// Package redact keeps secrets out of texts that leave the program.
//
// A [Redactor] knows two things: the values that it was given as secrets, and the
// places in a text where a secret always is: the headers Authorization,
// Proxy-Authorization, Cookie and Set-Cookie, the password of a URL, and the options of
// curl that take one. What it finds becomes [Mark].
//
// A value is found as it is, in base64, also as a part of a longer text, and as
// JSON, YAML, Go, a shell or a URL escapes it; of a value of several lines each
// line is found. A short value, or one that is an ordinary word, would hide half
// of a text. So a value of fewer than [Short] characters is only found as a word
// of its own, and only where it was given as a secret by itself
// ([Redactor.AddWord]); one of fewer than [Shortest] is never found by its value,
// and an ordinary word only where the user has called it a secret
// ([Redactor.AddGiven]). Whoever knows where such a value stands replaces it there.
package redact
