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

#define BIRD_CTL_REPLY_MAX                                                                         \
	(4u << 20) /* bytes of a reply that are kept; the rest is read and dropped */

struct bird_ctl;

int bird_ctl_open(struct bird_ctl **out, const char *socket_path, struct err *e);
void bird_ctl_close(struct bird_ctl *b); /* takes NULL */

/* Stands for the socket and the timer: readable: call bird_ctl_next(). */
int bird_ctl_fd(const struct bird_ctl *b);

bool bird_ctl_is_busy(const struct bird_ctl *b); /* a command is under way */

/* Sends one line (without its end). It must have greeted and not be busy. */
void bird_ctl_send(struct bird_ctl *b, const char *command, unsigned int timeout_ms);

enum bird_ctl_kind {
	BIRD_CTL_UP,	/* connected: text is BIRD's greeting */
	BIRD_CTL_DOWN,	/* connection lost or refused: text says why. A command under way is void */
	BIRD_CTL_REPLY, /* code is the final code; text the lines, each with its code resolved */
};
struct bird_ctl_event {
	enum bird_ctl_kind kind;
	int code;
	const char *text; /* lines as "CODE text\n", also continued ones; until the next call */
};
bool bird_ctl_next(struct bird_ctl *b, struct bird_ctl_event *out); /* false: nothing now */
