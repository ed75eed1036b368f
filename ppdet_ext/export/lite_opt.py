"""Paddle Lite's optimizer as a process of its own: it aborts the whole process on what it cannot convert.

lite_opt.py ops PLACE                        prints the ops that it knows for a place
lite_opt.py convert PROGRAM WEIGHTS PLACE OUTPUT [fp16]    writes OUTPUT.nb
"""

import sys

from paddlelite.lite import Opt


def main(verb, *arguments):
    opt = Opt()
    if verb == "ops":
        opt.set_valid_places(arguments[0])
        opt.print_supported_ops()
        return
    program, weights, place, output, *fp16 = arguments
    if fp16:
        opt.enable_fp16()  # before the places, or it has no effect
    opt.set_valid_places(place)
    opt.set_model_file(program)
    opt.set_param_file(weights)
    opt.set_model_type("naive_buffer")
    opt.set_optimize_out(output)
    opt.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
