/* The C-variadic functions of the parameter and message suites.
 *
 * Each collects its arguments as the parameter's type says and calls a Rust function that takes
 * plain pointers. Handles are opaque numbers here; Rust looks them up. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { NOTHING = 0, INTS = 1, DOUBLES = 2, TEXT = 3 };
enum { STAT_ERR_UNSUPPORTED = 5, STAT_ERR_MEMORY = 8, STAT_ERR_VALUE = 11 };
#define MOST_VALUES 4

/* Written in Rust (suites/parameter.rs, suites/message.rs). */
extern int ofx_host_param_shape(void *param, int *kind, int *count);
extern int ofx_host_param_read(void *param, int timed, double time, void **out);
extern int ofx_host_param_write(void *param, int timed, double time, const int *ints,
                                const double *doubles, const char *text);
extern int ofx_host_message(void *handle, int persistent, const char *type, const char *id,
                            const char *text);

static int read_values(void *param, int timed, double time, va_list arguments) {
    void *out[MOST_VALUES] = {0};
    int kind = NOTHING, count = 0;
    int status = ofx_host_param_shape(param, &kind, &count);
    if (status != 0) return status;
    if (kind == NOTHING || count > MOST_VALUES) return STAT_ERR_UNSUPPORTED;
    for (int i = 0; i < count; i++) {
        if (kind == INTS) out[i] = va_arg(arguments, int *);
        else if (kind == DOUBLES) out[i] = va_arg(arguments, double *);
        else out[i] = va_arg(arguments, char **);
        if (out[i] == NULL) return STAT_ERR_VALUE;
    }
    return ofx_host_param_read(param, timed, time, out);
}

static int write_values(void *param, int timed, double time, va_list arguments) {
    int ints[MOST_VALUES] = {0};
    double doubles[MOST_VALUES] = {0};
    const char *text = NULL;
    int kind = NOTHING, count = 0;
    int status = ofx_host_param_shape(param, &kind, &count);
    if (status != 0) return status;
    if (kind == NOTHING || count > MOST_VALUES) return STAT_ERR_UNSUPPORTED;
    for (int i = 0; i < count; i++) {
        if (kind == INTS) ints[i] = va_arg(arguments, int);
        else if (kind == DOUBLES) doubles[i] = va_arg(arguments, double);
        else text = va_arg(arguments, const char *);
    }
    return ofx_host_param_write(param, timed, time, ints, doubles, text);
}

int ofx_host_param_get_value(void *param, ...) {
    va_list arguments;
    va_start(arguments, param);
    int status = read_values(param, 0, 0.0, arguments);
    va_end(arguments);
    return status;
}

int ofx_host_param_get_value_at_time(void *param, double time, ...) {
    va_list arguments;
    va_start(arguments, time);
    int status = read_values(param, 1, time, arguments);
    va_end(arguments);
    return status;
}

int ofx_host_param_set_value(void *param, ...) {
    va_list arguments;
    va_start(arguments, param);
    int status = write_values(param, 0, 0.0, arguments);
    va_end(arguments);
    return status;
}

int ofx_host_param_set_value_at_time(void *param, double time, ...) {
    va_list arguments;
    va_start(arguments, time);
    int status = write_values(param, 1, time, arguments);
    va_end(arguments);
    return status;
}

/* Hosts rarely implement these two; a plug-in has to live with that. */
int ofx_host_param_get_derivative(void *param, double time, ...) {
    (void)param, (void)time;
    return STAT_ERR_UNSUPPORTED;
}

int ofx_host_param_get_integral(void *param, double from, double to, ...) {
    (void)param, (void)from, (void)to;
    return STAT_ERR_UNSUPPORTED;
}

static int say(void *handle, int persistent, const char *type, const char *id, const char *format,
               va_list arguments) {
    if (format == NULL) return ofx_host_message(handle, persistent, type, id, NULL);
    va_list measured;
    va_copy(measured, arguments);
    int length = vsnprintf(NULL, 0, format, measured);
    va_end(measured);
    if (length < 0) return STAT_ERR_VALUE;
    char *text = malloc((size_t)length + 1);
    if (text == NULL) return STAT_ERR_MEMORY;
    vsnprintf(text, (size_t)length + 1, format, arguments);
    int status = ofx_host_message(handle, persistent, type, id, text);
    free(text);
    return status;
}

int ofx_host_message_show(void *handle, const char *type, const char *id, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int status = say(handle, 0, type, id, format, arguments);
    va_end(arguments);
    return status;
}

int ofx_host_message_persist(void *handle, const char *type, const char *id, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int status = say(handle, 1, type, id, format, arguments);
    va_end(arguments);
    return status;
}
