/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: what strangers may send to a probe. The input is the probe's stdin, cut into pieces
 * by its own first byte; a datagram; and a network configuration.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "cli/probe/chain.h"
#include "cli/line.h"
#include "cli/probe/message.h"
#include "lib/json.h"
#include "lib/mem.h"

static void try_line(const char *line, size_t len)
{
	CLEANUP_JSON json_t *doc = NULL;
	const char *op = NULL;
	json_int_t id = -1;
	struct err e = {0};
	int r = line_parse(line, len, &doc, &id, &op, &e);
	CHECK(r < 0 ? (*e.text && !doc) : (json_is_object(doc) && op && id >= 0));
	CLEANUP_TEXT struct text answer = {0};
	if (r < 0)
		line_answer(id, line_refusal(r, &e), &answer);
	CHECK(r == 0 || strchr(answer.buf, '\n') == answer.buf + answer.len - 1);
}

/* Every line that comes out; what is left is never more than a line and a piece. */
static void take_lines(struct line *l)
{
	for (;;) {
		CLEANUP_FREE char *line = NULL;
		size_t len = 0;
		struct err e = {0};
		bool waits = line_is_waiting(l);
		int r = line_next(l, &line, &len, &e);
		CHECK(r == 0 || waits);
		if (r == 0)
			break;
		CHECK(r < 0 || len <= LINE_MAX_BYTES);
		if (r > 0)
			try_line(line, len);
	}
	CHECK(l->in.len <= LINE_MAX_BYTES);
}

static void try_stream(const uint8_t *data, size_t size)
{
	struct line l = {0};
	size_t step = size ? (size_t)data[0] * 1024 + 1 : 1;
	for (size_t at = 0; at < size;) {
		size_t room = 0;
		char *space = line_space(&l, &room);
		size_t n = size - at < step ? size - at : step;
		n = n < room ? n : room;
		memcpy(space, data + at, n);
		line_filled(&l, n);
		at += n;
		take_lines(&l);
	}
	line_done(&l);
}

static void try_datagram(const char *bytes, size_t size)
{
	struct probe_message m, again;
	char text[PROBE_MESSAGE_MIN];
	if (!probe_message_parse(bytes, size, &m))
		return;
	probe_message_format(&m, text, sizeof(text));
	CHECK(probe_message_parse(text, sizeof(text), &again) && again.seq == m.seq &&
		strcmp(again.nonce, m.nonce) == 0);
}

static void try_chain(const char *bytes, size_t size)
{
	CLEANUP_JSON json_t *doc = NULL;
	struct err e = {0};
	if (json_parse(bytes, size, &doc, &e) < 0)
		return;
	for (int is_list = 0; is_list < 2; is_list++) {
		CLEANUP_CHAIN struct probe_chain c = {0};
		if (probe_chain_parse(doc, is_list, &c, &e) < 0)
			continue;
		for (size_t i = 0; i < json_array_size(c.plugins); i++)
			json_decref(probe_chain_input(&c, i, doc, doc));
		json_decref(probe_chain_types(&c));
		json_decref(probe_chain_capabilities(&c));
		json_decref(probe_chain_document(&c));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_stream(data, size);
	try_datagram((const char *)data, size);
	try_chain((const char *)data, size);
	return 0;
}
