/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors as sentences. Everything is cut to its buffer: an error is for a person, and a long one
 * is most often long because a stranger's name is in it. Formatting goes through a scratch buffer,
 * so that an argument may be the old text itself.
 *
 * The last words of err_abort() are file-scope state, like those of lib/deadline.c and for the same
 * reason: when they are needed there is no memory to make them of, and whoever needs them is deep
 * inside something that knows nothing of a protocol.
 */
#include "lib/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static char words_before[ERR_LAST_WORDS];
static char words_after[ERR_LAST_WORDS];

static void err_format(char *dst, size_t size, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

static void err_format(char *dst, size_t size, const char *fmt, va_list args)
{
	char scratch[1024];
	(void)vsnprintf(scratch, sizeof(scratch), fmt, args);
	size_t len = strnlen(scratch, size - 1);
	memcpy(dst, scratch, len);
	dst[len] = '\0';
}

int err_set(struct err *e, int errnum, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	err_format(e->text, sizeof(e->text), fmt, args);
	va_end(args);
	e->details[0] = '\0';
	e->code = 0;
	return -errnum;
}

void err_add(struct err *e, const char *fmt, ...)
{
	char context[256];
	va_list args;
	va_start(args, fmt);
	err_format(context, sizeof(context), fmt, args);
	va_end(args);
	char whole[sizeof(context) + sizeof(e->text) + 2];
	(void)snprintf(whole, sizeof(whole), "%s: %s", context, e->text);
	size_t len = strnlen(whole, sizeof(e->text) - 1);
	memcpy(e->text, whole, len);
	e->text[len] = '\0';
}

void err_details(struct err *e, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	err_format(e->details, sizeof(e->details), fmt, args);
	va_end(args);
}

void err_last_words(const char *before, const char *after)
{
	(void)snprintf(words_before, sizeof(words_before), "%s", before);
	(void)snprintf(words_after, sizeof(words_after), "%s", after);
}

_Noreturn void err_abort(const char *sentence)
{
	(void)!write(STDERR_FILENO, sentence, strlen(sentence));
	(void)!write(STDERR_FILENO, "\n", 1);
	if (*words_before) {
		const struct iovec pieces[] = {
			{words_before, strlen(words_before)},
			{(char *)sentence, strlen(sentence)},
			{words_after, strlen(words_after)},
		};
		(void)!writev(STDOUT_FILENO, pieces, 3);
		_exit(1);
	}
	abort();
}
