/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Our file of BIRD's configuration. A text comes in as FILE.new beside it, with FILE.check, a main
 * configuration for trying it out; then it takes FILE's place, and what was there stays as FILE.old
 * until BIRD runs the new one. So FILE is always a text that a BIRD has accepted, or nothing.
 */
#include <stdbool.h>

#include "lib/err.h"

#define BIRD_FILE_PATH 512

struct bird_file {
	char path[BIRD_FILE_PATH], fresh[BIRD_FILE_PATH], check[BIRD_FILE_PATH],
		old[BIRD_FILE_PATH];
	char folder[BIRD_FILE_PATH];  /* of all of them */
	char include[BIRD_FILE_PATH]; /* the operator's folder; "" none */
	char group[64];		      /* may read; "" nobody else */
};

/* Paths BIRD's grammar cannot hold are -EINVAL. */
int bird_file_init(struct bird_file *f, const char *path, const char *include, const char *group,
	struct err *e);

/* What FILE holds; NULL: there is none that can be read, or it is larger than any of ours. The caller
 * frees it. */
char *bird_file_read(const struct bird_file *f);

bool bird_file_is(const struct bird_file *f, const char *text); /* FILE holds exactly this */

/* Makes FILE.new and FILE.check, 0640. */
int bird_file_write(const struct bird_file *f, const char *text, struct err *e);

/* FILE.new becomes FILE. Then one of these two: BIRD runs it, or BIRD refuses it and the previous
 * file is back (or none, if there was none). */
int bird_file_put(const struct bird_file *f, struct err *e);
void bird_file_keep(const struct bird_file *f);
void bird_file_take_back(const struct bird_file *f);

/* Whether somebody was killed before one of these two. */
bool bird_file_is_on_trial(const struct bird_file *f);
