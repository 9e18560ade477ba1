/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Command lines, for all executables alike: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, -n=VALUE;
 * options anywhere among the words, behind "--" only words. Names are never abbreviated, so that a new
 * option cannot change what an old script means.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "lib/err.h"

struct args_option {
	int id;		  /* its owner's */
	char letter;	  /* 0: none */
	const char *name; /* "state-dir" */
	const char *
		value; /* what the help calls it: "DIR"; NULL: takes none; "[DIR]": may have one, in
			      the same word */
	const char *help;
};

struct args {
	int argc;
	char **argv;
	const struct args_option *options;
	size_t n_options;
	int at;	    /* the word read last */
	bool ended; /* "--" was there */
};

/* The next thing on the command line. 1: an option with its value (NULL: none), or (*option NULL) a word in
 * *value; 0: that was all. -EINVAL: the sentence says what is wrong and what may be meant. Begin with at 0. */
int args_next(struct args *a, const struct args_option **option, const char **value, struct err *e);

/* Its line of help. */
void args_print_help(FILE *f, const struct args_option *option);
