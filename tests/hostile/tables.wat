;; Takes table elements until it gets no more, then gives up as an allocator does.
(component
  (core module $m
    (table 1 funcref)
    (func (export "run") (result i32)
      (loop $more
        (br_if $more (i32.ne (table.grow 0 (ref.null func) (i32.const 1000)) (i32.const -1))))
      (unreachable)))
  (core instance $i (instantiate $m))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $exported (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $exported)))
