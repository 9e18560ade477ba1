/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The command line as one plain struct. Options may stand before, between and after the words;
 * names are never abbreviated, so that a new option cannot change what an old script means.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "lib/err.h"

/* One bit each: what was given, and what a command allows. */
enum option {
	OPTION_STATE_DIR = 1 << 0,
	OPTION_OUTPUT = 1 << 1,
	OPTION_HELP = 1 << 2,
	OPTION_VERSION = 1 << 3,
	OPTION_IP = 1 << 4,
	OPTION_WIDE = 1 << 5,
	OPTION_COLOR = 1 << 6,
	OPTION_REPAIR = 1 << 7,
	OPTION_FORCE = 1 << 8,
	OPTION_IDLE_BLOCKS = 1 << 9,
};
#define OPTIONS_GLOBAL (OPTION_STATE_DIR | OPTION_OUTPUT | OPTION_HELP | OPTION_VERSION)

enum options_color { OPTIONS_COLOR_AUTO, OPTIONS_COLOR_ALWAYS, OPTIONS_COLOR_NEVER };

struct options {
	unsigned int given;    /* enum option bits; the flags among them have no other field */
	const char *state_dir; /* NULL: not given */
	const char *ip;
	bool json;
	enum options_color color;
	char **words; /* what is no option, in order: noun, verb, operands. Borrowed from argv */
	size_t n_words;
};

/* Reads argv, whose elements it reorders. -EINVAL: the sentence says what is wrong. */
int options_parse(int argc, char **argv, struct options *out, struct err *e);

/* The name of the first option in the set, "wide"; NULL for none. */
const char *options_name(unsigned int set);

/* A line of help for each option in the set. */
void options_print_help(FILE *f, unsigned int set);
