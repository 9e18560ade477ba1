/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Keeping a BIRD equal to a text: the file is written, checked, put in place and loaded; a
 * refused text is taken back and the old one stays. Then BIRD is prodded for some seconds, as
 * versions 2.0.8 to 2.13 sleep on work. Knows when a block is no longer announced, and which blocks
 * BGP has brought.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/bird/sessions.h"
#include "lib/addr.h"
#include "lib/err.h"

struct bird_paths {
	const char *file;    /* ours: /run/roost/bird.conf */
	const char *socket;  /* BIRD's */
	const char *include; /* the operator's folder */
	const char *group;   /* may read the file; "" nobody else */
};

struct bird;
int bird_open(struct bird **out, const struct bird_paths *p, struct err *e);
void bird_close(struct bird *b); /* takes NULL; BIRD keeps running as it is */
int bird_fd(const struct bird *b);

/* The text that shall be in force (copied). generation grows with each call; 0 before the first. */
uint64_t bird_want_text(struct bird *b, const char *text);

/* Our protocols, sorted by name, as last shown; borrowed until the next bird_step(). */
const struct bird_session *bird_sessions_all(const struct bird *b, size_t *n);

/* Other nodes' blocks that BGP has brought, sorted, up to BIRD_KEPT_S after it lost them
 * (agent/bird/learned.h); borrowed until the next bird_step(). */
const struct cidr *bird_learned_blocks(const struct bird *b, size_t *n);

/* Addresses of services that the file announced when it was opened, each alone (no prefix of several);
 * borrowed. */
const struct cidr *bird_services_before(const struct bird *b, size_t *n);

/* How many blocks are to be learned that are not yet: a change of it is a reason to look sooner. */
void bird_expect(struct bird *b, size_t missing);

/* Goes on with whatever can go on. 1: something that bird_status() shows changed. */
int bird_step(struct bird *b, struct err *e);

struct bird_status {
	bool up;		  /* greeted */
	bool recovering;	  /* graceful restart is under way */
	uint64_t loaded;	  /* generation that BIRD confirmed to run; 0 none */
	uint64_t refused;	  /* the last one it refused; 0 none */
	char trouble[256];	  /* why it is not as it should be; "" fine */
	uint32_t peers, peers_up; /* BGP sessions of ours, as last shown */
};
void bird_status(const struct bird *b, struct bird_status *out);
