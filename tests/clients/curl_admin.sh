#!/usr/bin/env bash
# Everything that operators of other gateways do by their "System API", with curl alone: keys are listed, added, searched,
# changed and deleted, the models of a key are told, an account is shown and its quota asked. ADMIN is the address of the
# operators' listener, TOKEN an operator's token, BASE the relay's own address.
set -euo pipefail

: "${ADMIN:?set ADMIN to the address of the operators' listener, without a slash at the end}"
: "${TOKEN:?set TOKEN to an operator's token}"
: "${BASE:?set BASE to the address of the relay, without a slash at the end}"

readonly API=$ADMIN/api/v1
readonly CURL=(curl --silent --show-error --max-time 30)

# One JSON line per step. Curl's answers hold nothing that needs more than a look for a field.
step() { printf '{"step": "%s", "ok": true, "status": %s}\n' "$1" "$status"; }
fail() {
    printf '{"step": "%s", "ok": false, "why": "%s"}\n' "$1" "$(tr -d '\n' <<<"$2" | cut -c1-400 | sed 's/[\\"]/\\&/g')"
    exit 1
}
text() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" <<<"$body" | head -n 1; }
number() { grep -o "\"$1\":[0-9]*" <<<"$body" | head -n 1 | cut -d: -f2; }
has() { [[ $body == *"$1"* ]]; }

# Asks, and leaves the answer in $status and $body.
ask() {
    local answer
    answer=$("${CURL[@]}" --write-out '\n%{http_code}' "$@") || fail "curl" "no answer from $ADMIN"
    status=${answer##*$'\n'}
    body=${answer%$'\n'*}
}
# A step of the operator's: its name, the status that it must have, and curl's arguments.
operator() {
    local name=$1 wanted=$2
    shift 2
    ask -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" "$@"
    [ "$status" = "$wanted" ] || fail "$name" "status $status: $body"
    step "$name"
}
tenant() { ask -H "Authorization: Bearer $key" -H "Content-Type: application/json" "$@"; }

operator "add a group with a price of its own" 201 -X POST "$API/groups" -d '{"name": "resale", "multiplier": "1.25"}'
operator "set a price" 200 -X PUT "$API/prices/overrides" \
    -d '{"pattern": "fal-ai/flux-1/dev", "unit_price": "0.02", "unit": "image", "reason": "list of November"}'

operator "add a key" 201 -X POST "$API/keys" -d '{
    "tenant": "acme", "name": "web shop", "group": "resale", "expires_in": "30d",
    "rules": {"allow": ["fal-ai/flux-1/**"], "requests_per_minute": 600},
    "budgets": [{"period": "day", "limit_usd": "5"}], "reason": "order 17"}'
key=$(text key)
id=$(number id)
tenant=$(number tenant_id)
[[ $key == fr_test_* ]] || fail "add a key" "no key: $body"

operator "list keys" 200 "$API/keys?limit=1"
has '"has_more":true' || fail "list keys" "no second page: $body"
operator "list the next page" 200 "$API/keys?cursor=$(text next_cursor)"
has '"web shop"' || fail "list the next page" "$body"
operator "search keys" 200 --get "$API/keys" --data-urlencode "search=WEB SH"
has "\"id\":$id," || fail "search keys" "$body"
! has "$key" || fail "search keys" "the key's text is in a list"
operator "show a key" 200 "$API/keys/$id"
operator "change a key" 200 -X PATCH "$API/keys/$id" -d '{"name": "shop", "rules": {"allow": ["fal-ai/flux-1/dev"]}}'
[ "$(text name)" = shop ] || fail "change a key" "$body"
operator "list the models of a key" 200 "$API/keys/$id/models"
has '"items":[' || fail "list the models of a key" "$body"

tenant -X POST "$BASE/fal-ai/flux-1/dev" -d '{"prompt": "a cat"}'
[ "$status" = 200 ] || fail "call with the key" "status $status: $body"
step "call with the key"
job=$(text status_url)
operator "show the account" 200 "$API/tenants/$tenant/account"
has '"name":"acme"' && has '"period":"day"' || fail "show the account" "$body"
operator "ask the quota of a key" 200 "$API/keys/$id/account"
has '"limit_usd":"5.00"' && has '"left_usd":' && has '"resets_at":"' || fail "ask the quota of a key" "$body"
operator "search calls" 200 "$API/calls?tenant=acme&key_id=$id"
has '"endpoint":"fal-ai/flux-1/dev"' || fail "search calls" "$body"
operator "tell usage" 200 "$API/usage?by=day,tenant"
operator "export the ledger" 200 "$API/export.csv?tenant=acme"
has 'fal-ai/flux-1/dev' || fail "export the ledger" "$body"

operator "suspend the tenant" 200 -X PATCH "$API/tenants/$tenant" -d '{"status": "suspended"}'
# A running relay looks for changes of keys every relay.key_check_ms.
while tenant "$job" && [ "$status" != 401 ]; do
    [[ $status == 20? ]] || fail "a suspended tenant is refused" "status $status: $body"
    sleep 0.05
done
step "a suspended tenant is refused"
operator "let it call again" 200 -X PATCH "$API/tenants/$tenant" -d '{"status": "active"}'

operator "add another key" 201 -X POST "$API/keys" -d '{"tenant": "acme", "name": "spare"}'
spare=$(number id)
operator "replace a key" 201 -X POST "$API/keys/$spare/rotate" -d '{"grace": "1h"}'
operator "end a key" 200 -X POST "$API/keys/$spare/revoke" -H "x-relay-reason: lost"
[ "$(text state)" = revoked ] || fail "end a key" "$body"
operator "delete a key" 204 -X DELETE "$API/keys/$spare"
operator "look for the deleted key" 404 "$API/keys/$spare"
operator "read the audit log" 200 "$API/audit?object=key:$spare"
has '"key.delete"' && has '"lost"' || fail "read the audit log" "$body"

TOKEN=${TOKEN}x
operator "another token" 401 "$API/keys"
