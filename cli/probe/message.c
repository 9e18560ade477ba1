/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between probes. The servers of the node's namespace may be reached by anybody, so a
 * server answers nothing but a well-formed question, at most as long as it was asked: it is of no
 * use for sending somebody else's traffic to a third.
 */
#include "cli/probe/message.h"

#include <assert.h>
#include <string.h>

#include "lib/json.h"
#include "lib/text.h"

#define KEY "roost-probe"
#define START "{\"" KEY "\":"

void probe_message_format(const struct probe_message *m, char *out, size_t len)
{
	char text[PROBE_MESSAGE_MIN + 1];
	struct text t = TEXT_ON(text);
	text_add(&t, START "\"%s\",\"nonce\":\"%s\",\"seq\":%u", m->is_answer ? "answer" : "ask",
		m->nonce, m->seq);
	if (m->is_answer)
		text_add(&t, ",\"source\":\"%s\"", ADDR_STRING(&m->source));
	else if (m->df)
		text_add(&t, ",\"df\":true");
	text_add(&t, "}");
	assert(!t.cut && len >= t.len);
	memcpy(out, text, t.len);
	memset(out + t.len, ' ', len - t.len);
}

static bool message_take(const json_t *doc, struct probe_message *m)
{
	const char *kind = NULL, *nonce = NULL, *source = NULL;
	int64_t seq = 0;
	struct err ignored;
	if (!json_is_object(doc) || json_get_string(doc, "", KEY, &kind, &ignored) <= 0 ||
		json_get_string(doc, "", "nonce", &nonce, &ignored) <= 0 ||
		json_get_number(doc, "", "seq", 0, UINT32_MAX, &seq, &ignored) <= 0 ||
		json_get_bool(doc, "", "df", &m->df, &ignored) < 0 ||
		json_get_string(doc, "", "source", &source, &ignored) < 0)
		return false;
	m->seq = (uint32_t)seq;
	m->is_answer = strcmp(kind, "answer") == 0;
	if (!m->is_answer && strcmp(kind, "ask") != 0)
		return false;
	if (m->is_answer && (!source || addr_parse(source, &m->source, &ignored) < 0))
		return false;
	return text_is_name(nonce) && text_copy(m->nonce, sizeof(m->nonce), nonce);
}

bool probe_message_parse(const char *bytes, size_t len, struct probe_message *out)
{
	struct probe_message m = {0};
	struct err ignored;
	CLEANUP_JSON json_t *doc = NULL;
	if (len < PROBE_MESSAGE_MIN || len > PROBE_MESSAGE_MAX ||
		memcmp(bytes, START, strlen(START)) != 0 ||
		json_parse(bytes, len, &doc, &ignored) < 0 || !message_take(doc, &m))
		return false;
	*out = m;
	return true;
}
