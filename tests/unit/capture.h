/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a command prints: stdout and stderr go to files between capture_begin() and capture_end().
 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <unistd.h>

#define CAPTURE_MAX 65536

struct capture {
	int saved[2];
	FILE *files[2];
};

static inline void capture_begin(struct capture *c)
{
	(void)fflush(stdout);
	for (int i = 0; i < 2; i++) {
		c->files[i] = tmpfile();
		assert_non_null(c->files[i]);
		c->saved[i] = dup(i + 1);
		assert_true(dup2(fileno(c->files[i]), i + 1) >= 0);
	}
}

static inline void capture_end(
	struct capture *c, char out[CAPTURE_MAX], char complaint[CAPTURE_MAX])
{
	char *texts[] = {out, complaint};
	(void)fflush(stdout);
	for (int i = 0; i < 2; i++) {
		(void)dup2(c->saved[i], i + 1);
		(void)close(c->saved[i]);
		rewind(c->files[i]);
		texts[i][fread(texts[i], 1, CAPTURE_MAX - 1, c->files[i])] = '\0';
		(void)fclose(c->files[i]);
	}
}
