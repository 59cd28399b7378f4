#!/usr/bin/env bash
# The first example that users of fal's resellers know, word for word, with curl alone:
# submit with a bearer key, follow response_url, read the pictures. BASE is the relay's address, KEY a relay key.
set -euo pipefail

: "${BASE:?set BASE to the address of the relay, without a slash at the end}"
: "${KEY:?set KEY to a relay key}"

readonly POLL_SECONDS=0.2
readonly POLLS_MAX=150
readonly CURL=(curl --silent --show-error --max-time 30)

# One JSON line per step. Curl's answers hold nothing that needs more than a look for a field.
step() { printf '{"step": "%s", "ok": true, "status": %s}\n' "$1" "$2"; }
fail() {
    printf '{"step": "%s", "ok": false, "why": "%s"}\n' "$1" "$(tr -d '\n' <<<"$2" | cut -c1-400 | sed 's/[\\"]/\\&/g')"
    exit 1
}
field() { sed -n "s/.*\"$1\"[[:space:]]*:[[:space:]]*\"\([^\"]*\)\".*/\1/p" <<<"$2" | head -n 1; }

# Asks, and leaves the answer in $status and $body.
ask() {
    local answer
    answer=$("${CURL[@]}" --write-out '\n%{http_code}' "$@") || fail "curl" "no answer from $BASE"
    status=${answer##*$'\n'}
    body=${answer%$'\n'*}
}

ask -X POST "$BASE/fal-ai/flux-1/dev" \
    -H "Authorization: Bearer $KEY" \
    -H "Content-Type: application/json" \
    -d '{"prompt": "a cat"}'
[ "$status" = 200 ] || fail "submit" "status $status: $body"
request_id=$(field request_id "$body")
response_url=$(field response_url "$body")
[ -n "$request_id" ] || fail "submit" "no request_id: $body"
[ "$response_url" = "$BASE/fal-ai/flux-1/requests/$request_id" ] || fail "submit" "response_url is $response_url"
step "submit" "$status"

polls=0
while
    ask "$response_url" -H "Authorization: Bearer $KEY"
    [ "$status" = 400 ] && [ "$(field detail "$body")" = "Request is still in progress" ]
do
    polls=$((polls + 1))
    [ "$polls" -lt "$POLLS_MAX" ] || fail "poll" "not done after $polls polls"
    sleep "$POLL_SECONDS"
done
[ "$status" = 200 ] || fail "poll" "status $status: $body"
step "poll" "$status"

ask "$BASE/fal-ai/flux-1/requests/$request_id" -H "Authorization: Bearer $KEY"
[ "$status" = 200 ] || fail "result" "status $status: $body"
image_url=$(field url "$body")
[[ $body == *'"images"'* && $image_url == http* ]] || fail "result" "no images: $body"
step "result" "$status"

ask "$BASE/fal-ai/flux-1/requests/$request_id" -H "Authorization: Bearer ${KEY}x"
[ "$status" = 401 ] || fail "another key" "status $status: $body"
step "another key is refused" "$status"
