/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Our file of BIRD's configuration. A text comes in as FILE.new beside it, with FILE.check, a main
 * configuration for trying it out; then it takes FILE's place, and what was there stays as FILE.old
 * until BIRD runs the new one. So FILE is always a text that a BIRD has accepted, or nothing.
 */
#include <stdbool.h>

#include "lib/err.h"

#define BIRDFILE_PATH 512

struct birdfile {
	char path[BIRDFILE_PATH], fresh[BIRDFILE_PATH], check[BIRDFILE_PATH], old[BIRDFILE_PATH];
	char include[BIRDFILE_PATH]; /* the operator's folder; "" none */
	char group[64];		     /* may read; "" nobody else */
};

/* Paths BIRD's grammar cannot hold are -EINVAL. */
int birdfile_init(struct birdfile *f, const char *path, const char *include, const char *group,
	struct err *e);

bool birdfile_is(const struct birdfile *f, const char *text); /* FILE holds exactly this */

/* Makes FILE.new and FILE.check, 0640. */
int birdfile_write(const struct birdfile *f, const char *text, struct err *e);

/* FILE.new becomes FILE. Then one of these two: BIRD runs it, or BIRD refuses it and the former
 * file is back (or none, if there was none). */
int birdfile_put(const struct birdfile *f, struct err *e);
void birdfile_keep(const struct birdfile *f);
void birdfile_take_back(const struct birdfile *f);

/* Whether somebody was killed before one of these two. */
bool birdfile_is_on_trial(const struct birdfile *f);
