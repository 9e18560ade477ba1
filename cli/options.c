/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the command line. getopt_long() would do most of it, but it accepts abbreviations
 * and cannot be told otherwise, and `--f` for `--force` is a trap; so this is a loop over one
 * table, which the help is printed from as well. To add an option: a bit in options.h, a line in
 * the table, a case in option_put(), and the bit in the command that allows it.
 */
#include "cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/text.h"

static const struct known {
	enum option id;
	char letter; /* 0: none */
	const char *name;
	const char *value; /* what the help calls it; NULL: takes none */
	const char *help;
} known[] = {
	{OPTION_STATE_DIR, 0, "state-dir", "DIR",
		"folder of the node state (else $ROOST_STATE_DIR, else /run/roost/state)"},
	{OPTION_STORE, 0, "store", "URL",
		"the cluster store (else $ROOST_STORE, else as in the configuration)"},
	{OPTION_CONFIG, 0, "config", "FILE",
		"the agent's configuration (else $ROOST_CONFIG, else /etc/roost/roostd.json)"},
	{OPTION_SOCKET, 0, "socket", "PATH",
		"the agent's socket (else $ROOST_SOCKET, else as in the configuration)"},
	{OPTION_OUTPUT, 'o', "output", "text|json|yaml",
		"how to print (text); yaml: resources only; junit: conformance only"},
	{OPTION_HELP, 'h', "help", NULL, "this help"},
	{OPTION_VERSION, 0, "version", NULL, "the version of roostctl"},
	{OPTION_IP, 0, "ip", "ADDRESS", "only this address: who has it, and since when"},
	{OPTION_WIDE, 0, "wide", NULL, "whole container ids"},
	{OPTION_COLOR, 0, "color", "auto|always|never",
		"colours (auto: on a terminal, unless NO_COLOR is set)"},
	{OPTION_REPAIR, 0, "repair", NULL, "mend what can be mended safely, and say what was done"},
	{OPTION_FORCE, 0, "force", NULL,
		"do it although something speaks against it; see the command's help"},
	{OPTION_IDLE_BLOCKS, 0, "idle-blocks", NULL,
		"give up the blocks in which nothing is used (cooling counts as idle)"},
	{OPTION_FILENAME, 'f', "filename", "FILE",
		"manifests in YAML or JSON, - is stdin; may be given again"},
	{OPTION_CLUSTER, 0, "cluster", NULL, "of all nodes, as the cluster store has it"},
	{OPTION_POWERED_OFF, 0, "powered-off", NULL,
		"with --force: the node is off for good, its blocks are free at once"},
	{OPTION_LIFETIME, 0, "lifetime", "SECONDS",
		"end by itself after this time, whatever happens (600)"},
};
#define N_KNOWN (sizeof(known) / sizeof(known[0]))

static int put_output(const char *value, struct options *o, struct err *e)
{
	o->json = strcmp(value, "json") == 0;
	o->yaml = strcmp(value, "yaml") == 0;
	o->junit = strcmp(value, "junit") == 0;
	o->given &= ~(unsigned int)(OPTION_YAML | OPTION_JUNIT);
	o->given |= o->yaml ? OPTION_YAML : o->junit ? OPTION_JUNIT : 0;
	if (!o->json && !o->yaml && !o->junit && strcmp(value, "text") != 0)
		return err_set(e, EINVAL, "output \"%.40s\" is not text, json or yaml", value);
	return 0;
}

static int put_text(const struct known *k, const char *value, const char **out, struct err *e)
{
	if (!*value)
		return err_set(e, EINVAL, "--%s is empty", k->name);
	*out = value;
	return 0;
}

static int put_file(const char *value, struct options *o, struct err *e)
{
	if (!*value)
		return err_set(e, EINVAL, "--filename is empty");
	if (o->n_files == OPTIONS_FILES)
		return err_set(e, EINVAL, "more than %d files", OPTIONS_FILES);
	o->files[o->n_files++] = value;
	return 0;
}

static int put_color(const char *value, struct options *o, struct err *e)
{
	static const char *const names[] = {"auto", "always", "never"};
	int i = TEXT_INDEX(value, names);
	if (i < 0)
		return err_set(e, EINVAL, "color \"%.40s\" is not auto, always or never", value);
	o->color = (enum options_color)i;
	return 0;
}

static int put_lifetime(const char *value, struct options *o, struct err *e)
{
	char *rest = NULL;
	errno = 0;
	unsigned long v = strtoul(value, &rest, 10);
	if (errno || *rest || *value < '0' || *value > '9' || v < 1 || v > OPTIONS_LIFETIME_MAX_S)
		return err_set(e, EINVAL, "lifetime \"%.20s\" is not a number of 1 to %d seconds",
			value, OPTIONS_LIFETIME_MAX_S);
	o->lifetime_s = (unsigned int)v;
	return 0;
}

static int option_put(const struct known *k, const char *value, struct options *o, struct err *e)
{
	o->given |= k->id;
	switch (k->id) {
	case OPTION_LIFETIME:
		return put_lifetime(value, o, e);
	case OPTION_STATE_DIR:
		return put_text(k, value, &o->state_dir, e);
	case OPTION_STORE:
		return put_text(k, value, &o->store, e);
	case OPTION_CONFIG:
		return put_text(k, value, &o->config, e);
	case OPTION_SOCKET:
		return put_text(k, value, &o->socket, e);
	case OPTION_FILENAME:
		return put_file(value, o, e);
	case OPTION_IP:
		o->ip = value;
		return 0;
	case OPTION_OUTPUT:
		return put_output(value, o, e);
	case OPTION_COLOR:
		return put_color(value, o, e);
	default:
		return 0;
	}
}

static const struct known *find_long(const char *name, size_t len)
{
	for (size_t i = 0; i < N_KNOWN; i++)
		if (strlen(known[i].name) == len && memcmp(known[i].name, name, len) == 0)
			return &known[i];
	return NULL;
}

static const struct known *find_short(char letter)
{
	for (size_t i = 0; i < N_KNOWN; i++)
		if (known[i].letter == letter)
			return &known[i];
	return NULL;
}

/* The option that word is, and the value inside it ("--ip=A", "-ojson"), NULL when it has none. */
static const struct known *option_find(const char *word, const char **value)
{
	*value = NULL;
	if (word[1] != '-') {
		if (word[2])
			*value = word + 2;
		return find_short(word[1]);
	}
	const char *equals = strchr(word, '=');
	if (equals)
		*value = equals + 1;
	return find_long(word + 2, equals ? (size_t)(equals - word - 2) : strlen(word + 2));
}

/* Reads the option at argv[*i] and moves *i to its last word. */
static int parse_one(int argc, char **argv, int *i, struct options *o, struct err *e)
{
	const char *word = argv[*i], *value;
	const struct known *k = option_find(word, &value);
	if (!k)
		return err_set(e, EINVAL, "unknown option %.60s", word);
	if (k->id == OPTION_CLUSTER && value && *value) {
		/* conformance --cluster FILE: a flag and an operand; --cluster=FILE is the same. */
		o->words[o->n_words++] = (char *)value;
		return option_put(k, "", o, e);
	}
	if (!k->value && value)
		return err_set(e, EINVAL, "--%s takes no value", k->name);
	if (k->value && !value) {
		if (*i + 1 >= argc)
			return err_set(e, EINVAL, "--%s needs a value: %s", k->name, k->value);
		value = argv[++*i];
	}
	return option_put(k, value ? value : "", o, e);
}

int options_parse(int argc, char **argv, struct options *out, struct err *e)
{
	struct options o = {.words = argv};
	bool ended = false;
	for (int i = 1; i < argc; i++) {
		char *word = argv[i];
		if (!ended && strcmp(word, "--") == 0) {
			ended = true;
		} else if (!ended && word[0] == '-' && word[1]) {
			int r = parse_one(argc, argv, &i, &o, e);
			if (r < 0)
				return r;
		} else {
			o.words[o.n_words++] = word;
		}
	}
	*out = o;
	return 0;
}

const char *options_name(unsigned int set)
{
	for (size_t i = 0; i < N_KNOWN; i++)
		if (set & known[i].id)
			return known[i].name;
	return NULL;
}

void options_print_help(FILE *f, unsigned int set)
{
	for (size_t i = 0; i < N_KNOWN; i++) {
		const struct known *k = &known[i];
		if (!(set & k->id))
			continue;
		char left[64];
		(void)snprintf(left, sizeof(left), "%c%c%s--%s%s%s", k->letter ? '-' : ' ',
			k->letter ? k->letter : ' ', k->letter ? ", " : "  ", k->name,
			k->value ? " " : "", k->value ? k->value : "");
		(void)fprintf(f, "  %-30s %s\n", left, k->help);
	}
}
