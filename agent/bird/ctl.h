/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * BIRD's control socket, without waiting: one command at a time, its reply read up to the final
 * reply code. Connects again by itself (1 s apart, up to 10 s). Knows the protocol, not what is
 * asked; agent/bird/bird.c does.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define BIRDCTL_REPLY_MAX                                                                          \
	(4u << 20) /* bytes of a reply that are kept; the rest is read and dropped */

struct birdctl;

int birdctl_open(struct birdctl **out, const char *socket_path, struct err *e);
void birdctl_close(struct birdctl *b); /* takes NULL */

/* An epoll descriptor with everything in it, timers too: readable: call birdctl_next(). */
int birdctl_fd(const struct birdctl *b);

bool birdctl_is_up(const struct birdctl *b);   /* greeted */
bool birdctl_is_busy(const struct birdctl *b); /* a command is under way */

/* Sends one line (without its end). It must be up and not busy. */
void birdctl_send(struct birdctl *b, const char *command, unsigned int timeout_ms);

enum birdctl_kind {
	BIRDCTL_UP,    /* connected: text is BIRD's greeting */
	BIRDCTL_DOWN,  /* connection lost or refused: text says why. A command under way is void */
	BIRDCTL_REPLY, /* code is the final code; text the lines, each with its code resolved */
};
struct birdctl_event {
	enum birdctl_kind kind;
	int code;
	const char *text; /* lines as "CODE text\n", also continued ones; until the next call */
};
bool birdctl_next(struct birdctl *b, struct birdctl_event *out); /* false: nothing now */
