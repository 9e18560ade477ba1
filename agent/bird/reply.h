/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What BIRD says on its control socket, as a pure reader: bytes in, whole replies out. And the two
 * replies that the agent looks into. Whatever the bytes are, nothing grows beyond its bound.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BIRDREPLY_LINE 1024 /* of a line that are kept; BIRD's own are at most 512 */

struct birdreply {
	char line[BIRDREPLY_LINE]; /* the one that is coming in */
	size_t line_len;
	int code;   /* of the last line with one; 0: none yet in this reply */
	char *text; /* "CODE text\n" for each line, NUL-terminated; NULL: nothing yet */
	size_t len, room;
	bool is_final; /* the reply is whole: code is its final one */
};

void birdreply_init(struct birdreply *r);
void birdreply_done(struct birdreply *r);

/* Takes in at most n bytes, up to the end of a reply; *used says how many. 1: r->code and r->text
 * are a whole reply, until the next call; 0: all was taken, more must come; -EBADMSG: these are
 * not the words of BIRD, the connection is of no use any more. */
int birdreply_feed(struct birdreply *r, const char *bytes, size_t n, size_t *used);

/* `show status`. */
struct birdreply_status {
	bool recovering;    /* graceful restart is under way (code 0024) */
	bool reconfiguring; /* a configuration is being put into effect */
	bool stopping;
};
void birdreply_status(const char *text, struct birdreply_status *out);

/* `show protocols "roost_*"`: the BGP sessions, and how many of them are established. */
void birdreply_sessions(const char *text, uint32_t *n, uint32_t *established);

/* BIRD's own sentence: the last line, without its code; borrowed from text, to its end. */
void birdreply_sentence(const char *text, char *out, size_t size);
