/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of roostctl (lib/args.h reads them). To add one: a bit in options.h, a line in the table, a
 * case in option_put(), and the bit in the command that allows it.
 */
#include "cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/args.h"
#include "lib/text.h"

static const struct args_option known[] = {
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
	{OPTION_CLUSTER, 0, "cluster", "[FILE]", "of all nodes, as the cluster store has it"},
	{OPTION_POWERED_OFF, 0, "powered-off", NULL,
		"with --force: the node is off for good, its blocks are free at once"},
	{OPTION_TIMEOUT, 0, "timeout", "DURATION",
		"wait so long for an answer: 500ms, 10s, 1m30s (store 20s, agent 5s)"},
	{OPTION_DRY_RUN, 0, "dry-run", NULL,
		"only say what would be done; 1 when there is something"},
	{OPTION_PODS, 0, "pods", NULL, "although pods run here, which lose their network"},
	{OPTION_STAY, 0, "stay", NULL,
		"wait for whoever still works, and do not end afterwards: for a DaemonSet"},
	{OPTION_ROOT, 0, "root", "DIR", "the machine's files are below this folder"},
	{OPTION_STAGED, 0, "staged", NULL, "as if staged policies were enforced"},
	{OPTION_FOLLOW, 0, "follow", NULL, "go on with what is new, until somebody ends it"},
	{OPTION_READY, 0, "ready", NULL, "whether this node is served; no more than that"},
	{OPTION_LIVE, 0, "live", NULL, "whether the agent answers; no more than that"},
	{OPTION_SHOW_SECRETS, 0, "show-secrets", NULL, "print passwords, too"},
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
		return err_set(
			e, EINVAL, "output \"%.40s\" is not text, json, yaml or junit", value);
	return 0;
}

static int put_text(const struct args_option *k, const char *value, const char **out, struct err *e)
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

/* Go's durations, down to milliseconds. */
static bool parse_duration_ms(const char *s, unsigned int *out)
{
	uint64_t sum = 0;
	if (!*s)
		return false;
	while (*s) {
		uint64_t n = 0;
		const char *digits = s;
		for (; *s >= '0' && *s <= '9' && n <= OPTIONS_TIMEOUT_MAX_MS; s++)
			n = n * 10 + (uint64_t)(*s - '0');
		bool ms = s[0] == 'm' && s[1] == 's';
		if (s == digits || !*s || !strchr("hms", *s))
			return false;
		sum += n * (ms ? 1 : *s == 'h' ? 3600000 : *s == 'm' ? 60000 : 1000);
		s += ms ? 2 : 1;
	}
	*out = sum > UINT32_MAX ? UINT32_MAX : (unsigned int)sum;
	return true;
}

static int put_timeout(const char *value, struct options *o, struct err *e)
{
	unsigned int ms = 0;
	if (!parse_duration_ms(value, &ms))
		return err_set(e, EINVAL,
			"timeout \"%.20s\" is not a time like 500ms, 10s or 1m30s", value);
	if (ms < OPTIONS_TIMEOUT_MIN_MS || ms > OPTIONS_TIMEOUT_MAX_MS)
		return err_set(e, EINVAL, "timeout \"%.20s\" is not between 100ms and 1h", value);
	o->timeout_ms = ms;
	return 0;
}

static int option_put(
	const struct args_option *k, const char *value, struct options *o, struct err *e)
{
	o->given |= (unsigned int)k->id;
	switch (k->id) {
	case OPTION_LIFETIME:
		return put_lifetime(value, o, e);
	case OPTION_TIMEOUT:
		return put_timeout(value, o, e);
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
	case OPTION_ROOT:
		return put_text(k, value, &o->root, e);
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

int options_parse(int argc, char **argv, struct options *out, struct err *e)
{
	struct options o = {.words = argv};
	struct args a = {.argc = argc, .argv = argv, .options = known, .n_options = N_KNOWN};
	const struct args_option *option = NULL;
	const char *value = NULL;
	int r = 0;
	while ((r = args_next(&a, &option, &value, e)) > 0) {
		/* conformance --cluster FILE: a flag and an operand; --cluster=FILE is the same. */
		if (!option || (option->id == OPTION_CLUSTER && value && *value))
			o.words[o.n_words++] = (char *)value;
		if (option && (r = option_put(option, value ? value : "", &o, e)) < 0)
			break;
	}
	*out = o;
	return r;
}

const char *options_name(unsigned int set)
{
	for (size_t i = 0; i < N_KNOWN; i++)
		if (set & (unsigned int)known[i].id)
			return known[i].name;
	return NULL;
}

void options_print_help(FILE *f, unsigned int set)
{
	for (size_t i = 0; i < N_KNOWN; i++)
		if (set & (unsigned int)known[i].id)
			args_print_help(f, &known[i]);
}
