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

#define PROBE_LINE_MAX 1048576 /* bytes of a line, without its end */

struct probe_line {
	char *buf; /* owned */
	size_t room, len;
	size_t seen;   /* bytes in which there is no end of a line */
	bool too_long; /* the line that is coming in is thrown away up to its end */
};
void probe_line_done(struct probe_line *l); /* takes a zeroed one */

/* Where the next bytes may be put, and how many; then how many were. */
char *probe_line_space(struct probe_line *l, size_t *n);
void probe_line_filled(struct probe_line *l, size_t n);

/* The next whole line: 1, *line (the caller's) has *len bytes and a terminator. 0: there is
 * none yet. -EMSGSIZE: one was too long, its rest is passed over. */
int probe_line_next(struct probe_line *l, char **line, size_t *len, struct err *e);
bool probe_line_is_waiting(const struct probe_line *l); /* probe_line_next() would not say 0 */

/* A request: *doc (the caller's) is an object with a whole number "id" and a text "op", borrowed
 * from it. -EBADMSG; *id is set as soon as it is known, else left alone. */
int probe_line_parse(
	const char *line, size_t len, json_t **doc, json_int_t *id, const char **op, struct err *e);

/* An answer as a line with its end, ASCII, on the heap; the document is taken over. id < 0: of
 * a line whose id is not known (null). */
char *probe_line_answer(json_int_t id, json_t *doc);
json_t *probe_line_refusal(int error, const struct err *e);
