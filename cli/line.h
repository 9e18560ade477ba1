/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The lines of the probe's protocol (docs/PROBE.md): bytes in, whole lines out, a line into a
 * request, an answer into a line. Pure; what comes in may be anything.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/text.h"

#define LINE_MAX_BYTES 1048576 /* bytes of a line, without its end */

struct line {
	struct text in; /* what has come */
	size_t seen;	/* bytes in which there is no end of a line */
	bool too_long;	/* the line that is coming in is thrown away up to its end */
};
void line_done(struct line *l); /* takes a zeroed one */

/* Where the next bytes may be put, and how many; then how many were. */
char *line_space(struct line *l, size_t *n);
void line_filled(struct line *l, size_t n);

/* The next whole line: 1, *line (the caller's) has *len bytes and a terminator. 0: there is
 * none yet. -EMSGSIZE: one was too long, its rest is passed over. */
int line_next(struct line *l, char **line, size_t *len, struct err *e);
bool line_is_waiting(const struct line *l); /* line_next() would not say 0 */

/* A request: *doc (the caller's) is an object with a whole number "id" and a text "op", borrowed
 * from it. -EBADMSG; *id is set as soon as it is known, else left alone. */
int line_parse(
	const char *line, size_t len, json_t **doc, json_int_t *id, const char **op, struct err *e);

/* Adds an answer as a line with its end, ASCII; the document is taken over. id < 0: of a line whose id
 * is not known (null). */
void line_answer(json_int_t id, json_t *doc, struct text *out);
json_t *line_refusal(int error, const struct err *e);
