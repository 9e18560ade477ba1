/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a command line. getopt_long() would do most of it, but it accepts abbreviations and cannot
 * be told otherwise, and `--f` for `--force` is a trap; so this is a loop over one table, which the
 * help is printed from as well. A value that begins with "=" behind a letter ("-o=json") is what
 * stands behind it: kubectl takes that, and nobody means a value that begins so.
 */
#include "lib/args.h"

#include <errno.h>
#include <string.h>

#include "lib/nearest.h"
#include "lib/text.h"

static const struct args_option *find_long(const struct args *a, const char *name, size_t len)
{
	for (size_t i = 0; i < a->n_options; i++)
		if (strlen(a->options[i].name) == len && memcmp(a->options[i].name, name, len) == 0)
			return &a->options[i];
	return NULL;
}

static const struct args_option *find_short(const struct args *a, char letter)
{
	for (size_t i = 0; i < a->n_options; i++)
		if (a->options[i].letter == letter)
			return &a->options[i];
	return NULL;
}

/* The option that word is, and the value inside it, NULL when it has none. */
static const struct args_option *args_find(
	const struct args *a, const char *word, const char **value)
{
	*value = NULL;
	if (word[1] != '-') {
		if (word[2])
			*value = word + 2 + (word[2] == '=');
		return find_short(a, word[1]);
	}
	const char *equals = strchr(word, '=');
	if (equals)
		*value = equals + 1;
	return find_long(a, word + 2, equals ? (size_t)(equals - word - 2) : strlen(word + 2));
}

static int refuse_unknown(const struct args *a, const char *word, struct err *e)
{
	char typed[64];
	struct nearest n = NEAREST_TO(typed);
	const char *name = word + 1 + (word[1] == '-');
	(void)snprintf(typed, sizeof(typed), "%.*s", (int)strcspn(name, "="), name);
	for (size_t i = 0; i < a->n_options; i++)
		nearest_offer(&n, a->options[i].name);
	(void)err_set(e, EINVAL, "unknown option %.60s", word);
	struct text t = {.buf = e->text, .size = sizeof(e->text), .len = strlen(e->text)};
	nearest_ask(&n, "--", "", &t);
	return -EINVAL;
}

static int take_option(
	struct args *a, const struct args_option **option, const char **value, struct err *e)
{
	const char *word = a->argv[a->at];
	const struct args_option *o = args_find(a, word, value);
	if (!o)
		return refuse_unknown(a, word, e);
	*option = o;
	if (!o->value && *value)
		return err_set(e, EINVAL, "--%s takes no value", o->name);
	if (!o->value || *value || *o->value == '[')
		return 1;
	if (a->at + 1 >= a->argc)
		return err_set(e, EINVAL, "--%s needs a value: %s", o->name, o->value);
	*value = a->argv[++a->at];
	return 1;
}

int args_next(struct args *a, const struct args_option **option, const char **value, struct err *e)
{
	*option = NULL;
	while (++a->at < a->argc) {
		const char *word = a->argv[a->at];
		if (!a->ended && strcmp(word, "--") == 0) {
			a->ended = true;
			continue;
		}
		if (!a->ended && word[0] == '-' && word[1])
			return take_option(a, option, value, e);
		*value = word;
		return 1;
	}
	return 0;
}

void args_print_help(FILE *f, const struct args_option *o)
{
	char left[64];
	bool value = o->value && *o->value != '[';
	(void)snprintf(left, sizeof(left), "%c%c%s--%s%s%s", o->letter ? '-' : ' ',
		o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name, value ? " " : "",
		value ? o->value : "");
	(void)fprintf(f, "  %-30s %s\n", left, o->help);
}
