/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Golden folders: tests/data/KIND/CASE/ with inputs and a file "expected". golden_run() calls the
 * test's function for each case and compares what it wrote. With GOLDEN_WRITE=1 in the environment
 * the files are written instead: look at the difference before keeping it.
 */
#include "tests/unit/check.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef TEST_DATA
#define TEST_DATA "tests/data" /* from the root of the repository */
#endif

/* A file of a case, NUL-terminated, the caller frees it; NULL when there is none. */
static inline char *golden_read(const char *dir, const char *name, size_t *len)
{
	char path[1024];
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "re");
	if (!f)
		return NULL;
	char *text = calloc(1, 1 << 16);
	assert_non_null(text);
	size_t n = fread(text, 1, (1 << 16) - 1, f);
	(void)fclose(f);
	if (len)
		*len = n;
	return text;
}

static inline void golden_compare(const char *dir, const char *actual)
{
	if (getenv("GOLDEN_WRITE")) {
		char path[1024];
		(void)snprintf(path, sizeof(path), "%s/expected", dir);
		FILE *f = fopen(path, "we");
		assert_non_null(f);
		(void)fputs(actual, f);
		(void)fclose(f);
		return;
	}
	char *expected = golden_read(dir, "expected", NULL);
	if (!expected || strcmp(expected, actual) != 0) {
		print_error("%s/expected:\n%s\nactual:\n%s\n", dir,
			expected ? expected : "(missing)", actual);
		free(expected);
		fail();
	}
	free(expected);
}

/* Calls run for every case of a kind, with its folder and a buffer for its output. */
static inline void golden_run(
	const char *kind, void (*run)(const char *dir, char *out, size_t size))
{
	char parent[512];
	(void)snprintf(parent, sizeof(parent), "%s/%s", TEST_DATA, kind);
	DIR *d = opendir(parent);
	if (!d) {
		fail_msg("cannot open %s: %s", parent, strerror(errno));
		return;
	}
	size_t cases = 0;
	for (struct dirent *entry = readdir(d); entry; entry = readdir(d)) {
		if (*entry->d_name == '.')
			continue;
		char dir[1024];
		char out[1 << 16] = "";
		(void)snprintf(dir, sizeof(dir), "%s/%s", parent, entry->d_name);
		run(dir, out, sizeof(out));
		golden_compare(dir, out);
		cases++;
	}
	(void)closedir(d);
	assert_true(cases > 0);
}
