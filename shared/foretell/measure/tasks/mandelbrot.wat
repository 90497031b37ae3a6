;; Iterates z = z * z + c, at most 64 times, for the points of an argument x argument grid over
;; [-2, 1) x [-1.5, 1.5), keeps the count per point in one byte and returns the sum of the counts.
;; Work grows with argument ** 2. Memory: one byte per point.
(module
  (memory (export "memory") 1)
  (global $limit i32 (i32.const 64))

  (func $need (param $bytes i32)
    (local $pages i32)
    (local.set $pages
      (i32.sub
        (i32.shr_u (i32.add (local.get $bytes) (i32.const 65535)) (i32.const 16))
        (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1))
          (then (unreachable))))))

  (func $escape (param $cx f64) (param $cy f64) (result i32)
    (local $x f64) (local $y f64) (local $x2 f64) (local $y2 f64) (local $count i32)
    (block $out
      (loop $next
        (br_if $out (i32.ge_u (local.get $count) (global.get $limit)))
        (local.set $x2 (f64.mul (local.get $x) (local.get $x)))
        (local.set $y2 (f64.mul (local.get $y) (local.get $y)))
        (br_if $out (f64.gt (f64.add (local.get $x2) (local.get $y2)) (f64.const 4)))
        (local.set $y
          (f64.add
            (f64.mul (f64.mul (f64.const 2) (local.get $x)) (local.get $y))
            (local.get $cy)))
        (local.set $x (f64.add (f64.sub (local.get $x2) (local.get $y2)) (local.get $cx)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (local.get $count))

  (func (export "run") (param $n i32) (result i32)
    (local $i i32) (local $j i32) (local $step f64) (local $count i32) (local $at i32)
    (local $sum i32)
    (call $need (i32.mul (local.get $n) (local.get $n)))
    (local.set $step (f64.div (f64.const 3) (f64.convert_i32_u (local.get $n))))
    (loop $rows
      (local.set $j (i32.const 0))
      (loop $columns
        (local.set $count
          (call $escape
            (f64.add
              (f64.mul (f64.convert_i32_u (local.get $j)) (local.get $step))
              (f64.const -2))
            (f64.add
              (f64.mul (f64.convert_i32_u (local.get $i)) (local.get $step))
              (f64.const -1.5))))
        (i32.store8 (local.get $at) (local.get $count))
        (local.set $sum (i32.add (local.get $sum) (local.get $count)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $columns
          (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n))))
      (br_if $rows
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum)))
