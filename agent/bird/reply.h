/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What BIRD says on its control socket, as a pure reader: bytes in, whole replies out. And the two
 * replies that the agent reads. Whatever the bytes are, nothing grows beyond its bound.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

#define BIRD_REPLY_LINE 1024 /* of a line that are kept; BIRD's own are at most 512 */

struct bird_reply {
	char line[BIRD_REPLY_LINE]; /* the one that is coming in */
	size_t line_len;
	int code;   /* of the last line with one; 0: none yet in this reply */
	char *text; /* "CODE text\n" for each line, NUL-terminated; NULL: nothing yet */
	size_t len, room;
	bool is_final; /* the reply is whole: code is its final one */
};

void bird_reply_init(struct bird_reply *r);
void bird_reply_done(struct bird_reply *r);

/* Takes in at most n bytes, up to the end of a reply; *used says how many. 1: r->code and r->text
 * are a whole reply, until the next call; 0: all was taken, more must come; -EBADMSG: these are
 * not the words of BIRD, the connection is of no use any more. */
int bird_reply_feed(struct bird_reply *r, const char *bytes, size_t n, size_t *used);

/* `show status`. */
struct bird_reply_status {
	bool recovering;    /* graceful restart is under way (code 0024) */
	bool reconfiguring; /* a configuration is being put into effect */
	bool stopping;
};
void bird_reply_status(const char *text, struct bird_reply_status *out);

/* The next line of a whole reply, cut to what fits, and its code; false at the end. *at begins as the
 * text. */
bool bird_reply_line(const char **at, int *code, char *out, size_t size);

/* `show route`: the prefix of the next route; false: there is none any more. *at begins as the text. */
bool bird_reply_route(const char **at, struct cidr *out);

/* BIRD's own sentence: the last line, without its code; borrowed from text, to its end. */
void bird_reply_sentence(const char *text, char *out, size_t size);
