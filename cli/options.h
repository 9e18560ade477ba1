/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The command line of roostctl as one plain struct.
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
	OPTION_FILENAME = 1 << 10,
	OPTION_STORE = 1 << 11,
	OPTION_CONFIG = 1 << 12,
	OPTION_SOCKET = 1 << 13,
	OPTION_CLUSTER = 1 << 14,
	OPTION_POWERED_OFF = 1 << 15,
	OPTION_LIFETIME = 1 << 24,
	OPTION_READY = 1 << 17,
	OPTION_LIVE = 1 << 18,
	OPTION_DRY_RUN = 1 << 19,
	OPTION_PODS = 1 << 20,
	OPTION_STAY = 1 << 21,
	OPTION_ROOT = 1 << 22,
	OPTION_STAGED = 1 << 23,
	OPTION_YAML = 1 << 16, /* --output was yaml, which few commands know */
	OPTION_SHOW_SECRETS = 1 << 26,
	OPTION_TIMEOUT = 1 << 27,
	OPTION_FOLLOW = 1 << 28,
	OPTION_JUNIT = 1 << 25, /* --output was junit, which one command knows */
};
#define OPTIONS_GLOBAL                                                                             \
	(OPTION_STATE_DIR | OPTION_STORE | OPTION_CONFIG | OPTION_SOCKET | OPTION_OUTPUT |         \
		OPTION_HELP | OPTION_VERSION)
#define OPTIONS_LIFETIME_MAX_S 86400
#define OPTIONS_TIMEOUT_MIN_MS 100
#define OPTIONS_TIMEOUT_MAX_MS 3600000
#define OPTIONS_FILES 64 /* --filename given so often at most */

enum options_color { OPTIONS_COLOR_AUTO, OPTIONS_COLOR_ALWAYS, OPTIONS_COLOR_NEVER };

struct options {
	unsigned int given;    /* enum option bits; the flags among them have no other field */
	const char *state_dir; /* NULL: not given, as all texts */
	const char *store, *config, *socket;
	const char *kube_host, *kube_port; /* of the API server, in a pod's environment */
	const char *ip;
	const char *root;
	const char *files[OPTIONS_FILES]; /* in the order given; "-" is stdin */
	size_t n_files;
	bool json, yaml, junit; /* none: text */
	enum options_color color;
	unsigned int lifetime_s; /* 0: not given */
	unsigned int timeout_ms; /* 0: not given */
	char command[40];	 /* its name, "ipam show"; set when it is known, as the operands */
	char **words; /* what is no option, in order: command, operands. Borrowed from argv */
	size_t n_words;
	char **operands; /* the words behind the command's name */
	size_t n_operands;
};

/* Reads argv, whose elements it reorders. -EINVAL: the sentence says what is wrong, and *out has what stands
 * before it. */
int options_parse(int argc, char **argv, struct options *out, struct err *e);

/* The name of the first option in the set, "wide"; NULL for none. */
const char *options_name(unsigned int set);

/* A line of help for each option in the set. */
void options_print_help(FILE *f, unsigned int set);
