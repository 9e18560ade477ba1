/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Errors. A function that can fail returns 0 (or a count) or a negative errno, and leaves one
 * sentence in the caller's struct err: it names the thing and the reason, lower case, no full
 * stop. The struct lives on the caller's stack and has nothing to free.
 *
 *	if (fd < 0)
 *		return err_set(e, errno, "cannot open %s: %s", path, strerror(errno));
 */
#include <stddef.h>

struct err {
	unsigned int code; /* a CNI error code that came from another program or is fixed by the
			      protocol; 0: to be derived from the errno (cni_code()) */
	char text[512];	   /* the sentence */
	char details[512]; /* more, for who has to mend it: what to do, which limit; may be empty */
};

/* Sets the sentence (dropping an old one and its details) and returns -errnum; errnum > 0. */
int err_set(struct err *e, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the sentence that is there. */
void err_add(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Replaces the details. */
void err_details(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What cannot go on (no memory, most often): says so on stderr and aborts. The one place that does. It
 * allocates nothing. */
_Noreturn void err_abort(const char *sentence);

/* From here on err_abort() writes its sentence on stdout too, between these two texts, and ends the
 * process with status 1: what a CNI executable owes its runtime. Both are copied and cut to what
 * is said here. */
#define ERR_LAST_WORDS 256
void err_last_words(const char *before, const char *after);
