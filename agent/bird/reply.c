/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of BIRD's control socket (nest/cli.c): a reply is lines
 *
 *	DDDD-text     a code, more lines follow
 *	DDDD text     a code, the last line
 *	 text         as DDDD- with the code of the line before
 *	+text         something that was logged meanwhile; no part of the reply
 *
 * The text that is handed out has the code in front of each line, so that a reader needs no
 * memory of its own. Control characters become '?', as parts of it end in logs and on terminals.
 * A line is cut at 1 KiB and a reply at 4 MiB; what is beyond is read and forgotten, so that the
 * end is still found. Anything else than these four forms is not BIRD.
 */
#include "agent/bird/reply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/bird/ctl.h"
#include "lib/mem.h"
#include "lib/text.h"

#define LARGE 65536 /* bytes of a reply: its buffer is not kept for the next one */

void bird_reply_init(struct bird_reply *r)
{
	*r = (struct bird_reply){0};
}

void bird_reply_done(struct bird_reply *r)
{
	free(r->text);
	bird_reply_init(r);
}

/* Keeps the buffer unless it has become large: most replies are short ones. */
static void begin_reply(struct bird_reply *r)
{
	if (r->room > LARGE) {
		free(r->text);
		r->text = NULL;
		r->room = 0;
	}
	r->text = mem_grow(r->text, &r->room, BIRD_REPLY_LINE, 1);
	r->text[0] = '\0';
	r->len = 0;
	r->line_len = 0;
	r->code = 0;
	r->is_final = false;
}

/* Four digits and '-' or ' ': the code, or -1. */
static int line_code(const char *line)
{
	int code = 0;
	for (size_t i = 0; i < 4; i++) {
		if (line[i] < '0' || line[i] > '9')
			return -1;
		code = code * 10 + (line[i] - '0');
	}
	return line[4] == '-' || line[4] == ' ' ? code : -1;
}

static void keep_line(struct bird_reply *r, const char *text)
{
	char clean[BIRD_REPLY_LINE];
	(void)text_clean(clean, sizeof(clean), text);
	size_t len = strlen(clean) + 6; /* the code, a space, the end of the line */
	if (r->len + len > BIRD_CTL_REPLY_MAX)
		return;
	r->text = mem_grow(r->text, &r->room, r->len + len + 1, 1);
	r->len += (size_t)snprintf(r->text + r->len, len + 1, "%04d %s\n", r->code, clean);
}

static int end_line(struct bird_reply *r)
{
	r->line[r->line_len] = '\0';
	r->line_len = 0;
	if (r->line[0] == '+')
		return 0;
	if (r->line[0] == ' ' && r->code > 0) {
		keep_line(r, r->line + 1);
		return 0;
	}
	int code = line_code(r->line);
	if (code < 0)
		return -EBADMSG;
	r->code = code;
	keep_line(r, r->line + 5);
	r->is_final = r->line[4] == ' ';
	return r->is_final ? 1 : 0;
}

int bird_reply_feed(struct bird_reply *r, const char *bytes, size_t n, size_t *used)
{
	if (!r->text || r->is_final)
		begin_reply(r);
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] != '\n') {
			if (r->line_len < BIRD_REPLY_LINE - 1)
				r->line[r->line_len++] = bytes[i];
			continue;
		}
		int got = end_line(r);
		if (got != 0) {
			*used = i + 1;
			return got;
		}
	}
	*used = n;
	return 0;
}

bool bird_reply_line(const char **at, int *code, char *out, size_t size)
{
	const char *end = strchr(*at, '\n');
	if (!end)
		return false;
	*code = line_code(*at);
	size_t len = (size_t)(end - *at);
	(void)snprintf(out, size, "%.*s", (int)(len > 5 ? len - 5 : 0), *at + (len > 5 ? 5 : len));
	*at = end + 1;
	return true;
}

void bird_reply_status(const char *text, struct bird_reply_status *out)
{
	char line[BIRD_REPLY_LINE];
	int code;
	*out = (struct bird_reply_status){0};
	while (bird_reply_line(&text, &code, line, sizeof(line))) {
		if (code == 24)
			out->recovering = true;
		if (code != 13)
			continue;
		out->reconfiguring = strstr(line, "econfiguration in progress") != NULL;
		out->stopping = strstr(line, "hutdown in progress") != NULL;
	}
}

/* A route's line begins with the prefix; lines of the table and of next hops do not. */
bool bird_reply_route(const char **at, struct cidr *out)
{
	char line[BIRD_REPLY_LINE];
	int code;
	while (bird_reply_line(at, &code, line, sizeof(line))) {
		struct err ignored;
		line[strcspn(line, " \t")] = '\0';
		if (code == 1007 && cidr_parse(line, out, &ignored) == 0)
			return true;
	}
	return false;
}

void bird_reply_sentence(const char *text, char *out, size_t size)
{
	char line[BIRD_REPLY_LINE] = "";
	int code;
	while (bird_reply_line(&text, &code, line, sizeof(line)))
		;
	(void)text_copy(out, size, line);
}
