/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives agent/bird/bird.c and agent/bird/config.c for the tests:
 *
 *	birdtool text		description on stdin: the text of our file
 *	birdtool main FILE DIR	the model of a main configuration
 *	birdtool keep FILE SOCKET DIR GROUP
 *		a description on each line of stdin: keeps BIRD equal to the latest. A line of JSON on
 *		stdout for each change of the s. Ends with stdin.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/bird/config.h"
#include "agent/bird/bird.h"
#include "agent/bird/config.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/bird/birdwant.h"

#define LINE_MAX_BYTES (64u << 20)

static _Noreturn void die(const char *why)
{
	(void)fprintf(stderr, "birdtool: %s\n", why);
	exit(1);
}

static char *text_of(const char *bytes, size_t len)
{
	json_error_t error;
	CLEANUP_JSON json_t *doc = json_loadb(bytes, len, 0, &error);
	if (!doc)
		die(error.text);
	struct birdwant *w = birdwant_new(doc);
	char *text = bird_config_text(&w->want);
	birdwant_free(w);
	return text;
}

static void show_look(const struct bird *b)
{
	struct bird_status s;
	bird_status(b, &s);
	CLEANUP_JSON json_t *doc =
		json_pack("{s:b,s:b,s:I,s:I,s:s,s:i,s:i}", "up", s.up, "recovering", s.recovering,
			"loaded", (json_int_t)s.loaded, "refused", (json_int_t)s.refused, "trouble",
			s.trouble, "peers", (int)s.peers, "peersUp", (int)s.peers_up);
	CLEANUP_FREE char *line = json_text(doc);
	(void)printf("%s\n", line);
	(void)fflush(stdout);
}

struct input {
	char *bytes;
	size_t len, room;
	bool ended;
};

/* Reads what is there, and hands each whole line on. */
static void read_lines(struct input *in, struct bird *b)
{
	in->bytes = mem_grow(in->bytes, &in->room, in->len + 65536, 1);
	ssize_t n = read(0, in->bytes + in->len, 65536);
	if (n <= 0) {
		in->ended = n == 0 || errno != EINTR;
		return;
	}
	in->len += (size_t)n;
	if (in->len > LINE_MAX_BYTES)
		die("a line is too long");
	for (;;) {
		char *end = memchr(in->bytes, '\n', in->len);
		if (!end)
			return;
		size_t used = (size_t)(end - in->bytes) + 1;
		CLEANUP_FREE char *text = text_of(in->bytes, used);
		(void)bird_want_text(b, text);
		memmove(in->bytes, in->bytes + used, in->len - used);
		in->len -= used;
	}
}

static int keep(char **argv)
{
	const struct bird_paths paths = {
		.file = argv[2], .socket = argv[3], .include = argv[4], .group = argv[5]};
	struct bird *b = NULL;
	struct err e;
	if (bird_open(&b, &paths, &e) < 0)
		die(e.text);
	struct input in = {0};
	while (!in.ended) {
		struct pollfd fds[2] = {
			{.fd = 0, .events = POLLIN}, {.fd = bird_fd(b), .events = POLLIN}};
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			die(strerror(errno));
		if (fds[0].revents)
			read_lines(&in, b);
		if (bird_step(b, &e) == 1)
			show_look(b);
	}
	free(in.bytes);
	bird_close(b);
	return 0;
}

int main(int argc, char **argv)
{
	CLEANUP_FREE char *text = NULL;
	if (argc == 6 && strcmp(argv[1], "keep") == 0)
		return keep(argv);
	if (argc == 4 && strcmp(argv[1], "main") == 0) {
		text = bird_config_main(argv[2], argv[3]);
	} else if (argc == 2 && strcmp(argv[1], "text") == 0) {
		CLEANUP_FREE char *input = NULL;
		size_t len = 0;
		struct err e;
		if (file_read_fd(0, LINE_MAX_BYTES, &input, &len, &e) < 0)
			die(e.text);
		text = text_of(input, len);
	} else {
		die("usage: birdtool text | main FILE DIR | keep FILE SOCKET DIR GROUP");
	}
	(void)fputs(text, stdout);
	return 0;
}
